"""The addresses of the site."""

from __future__ import annotations

from django.contrib import admin
from django.contrib.auth import views as auth_views
from django.urls import include, path
from django.views.generic import RedirectView

from . import views

site = [
    path("", views.analysis_list, name="list"),
    path("new/", views.upload, name="upload"),
    path("samples/<slug:key>/", views.try_sample, name="sample"),
    path("<uuid:pk>/", views.run, name="run"),
    path("<uuid:pk>/report/", views.report, name="report"),
    path("<uuid:pk>/again/", views.run_again, name="again"),
]

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="analysis:list"), name="home"),
    path("analyses/", include((site, "analysis"))),
    path("sign-in/", auth_views.LoginView.as_view(redirect_authenticated_user=True), name="login"),
    path("sign-out/", auth_views.LogoutView.as_view(), name="logout"),
    path("tasks/", include("taskcenter.urls")),
    path("admin/", admin.site.urls),
    path("django-rq/", include("taskcenter.urls_rq")),
]

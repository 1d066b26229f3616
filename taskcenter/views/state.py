"""placeholder"""
from django.http import JsonResponse


def task_state(request):
    return JsonResponse({})

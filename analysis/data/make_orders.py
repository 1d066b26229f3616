"""Makes orders.csv, a shop's orders with planted dirt, and orders.answers.json, which lists the dirt.

    python analysis/data/make_orders.py

Seeded and made with the standard library only: the same bytes every time. No person in it exists.
"""

import csv
import json
import random
from datetime import date, timedelta
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
ROWS = 5_000
COPIES = 37
FIRST_DAY = date(2024, 1, 1)
COUNTRIES = ("Germany", "France", "Spain", "Italy", "Poland")
CITIES = {"Germany": ("Berlin", "Hamburg"), "France": ("Paris", "Lyon"), "Spain": ("Madrid", "Sevilla"),
          "Italy": ("Rome", "Turin"), "Poland": ("Warsaw", "Gdansk")}  # fmt: skip
CHANNELS = ("web", "shop", "phone")
NAMES = ("ada", "ben", "cleo", "dan", "eva", "finn", "gus", "hana", "ida", "jon")

HEADER = ("order_id", "order_date", "customer_email", "country", "city", "channel", "quantity", "unit_price",
          "weight_kg", "postage_eur", "postage_with_tax", "discount", "coupon", "courier", "courier_days",
          "customer_age", "currency")  # fmt: skip


def clean_order(dice: random.Random, number: int) -> dict[str, Any]:
    """One order without faults."""
    country = dice.choice(COUNTRIES)
    postage = round(dice.uniform(2, 30), 2)
    return {
        "order_id": f"A{100000 + number}",
        "order_date": (FIRST_DAY + timedelta(days=dice.randrange(640))).isoformat(),
        "customer_email": f"{dice.choice(NAMES)}{dice.randrange(900)}@example.com",
        "country": country,
        "city": dice.choice(CITIES[country]),
        "channel": dice.choices(CHANNELS, (6, 3, 1))[0],
        "quantity": dice.choices((1, 2, 3, 4, 5, 6), (50, 25, 12, 7, 4, 2))[0],
        "unit_price": f"{dice.randrange(5, 3000)},{dice.randrange(100):02d} €",
        "weight_kg": round(dice.lognormvariate(1.0, 0.5), 2),
        "postage_eur": postage,
        "postage_with_tax": round(postage * 1.19 + 1e-9, 2),
        "discount": dice.choice((0, 5, 10, 15, 20, 25)),
        "coupon": dice.choice(("SPRING", "WELCOME", "FRIEND")),
        "courier": dice.choice(("Falcon", "Swift", "Turtle")),
        "courier_days": dice.randrange(1, 9),
        "customer_age": dice.randrange(18, 85),
        "currency": "EUR",
    }


def soil(dice: random.Random, orders: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Plants every fault in rows of its own and returns the answers."""
    free = list(range(len(orders)))
    dice.shuffle(free)

    def take(count: int) -> list[dict[str, Any]]:
        return [orders[free.pop()] for _ in range(count)]

    for order in take(412):
        order["courier"] = order["courier_days"] = ""
    for order in take(350):
        order["coupon"] = "N/A"
    for order in take(120):
        order["customer_age"] = 999
    for order in take(210):
        order["country"] = dice.choice((order["country"].upper(), order["country"] + " "))
    for order in take(23):
        order["quantity"] = -order["quantity"]
    for order in take(14):
        order["order_date"] = (date(2097, 1, 1) + timedelta(days=dice.randrange(300))).isoformat()
    take(1)[0]["weight_kg"] = 4800.0
    return answers()


def answers() -> list[dict[str, Any]]:
    """What an analysis must find."""
    total = ROWS + COPIES
    return [
        {"kind": "duplicate_rows", "columns": [], "evidence": {"copies": COPIES, "rows": total}},
        {"kind": "co_missing", "columns": ["courier", "courier_days"], "evidence": {"both": 412, "either": 412}},
        {"kind": "numbers_as_text", "columns": ["unit_price"], "evidence": {"cells": total}},
        {"kind": "disguised_missing", "columns": ["coupon"], "evidence": {"cells": 350}},
        {"kind": "disguised_missing", "columns": ["customer_age"], "evidence": {"cells": 120}},
        {"kind": "variants", "columns": ["country"], "evidence": {"cells": 210, "groups": len(COUNTRIES)}},
        {"kind": "impossible", "columns": ["quantity"], "evidence": {"cells": 23}},
        {"kind": "future_dates", "columns": ["order_date"], "evidence": {"cells": 14}},
        {"kind": "linear_multiple", "columns": ["postage_eur", "postage_with_tax"], "evidence": {"factor": 1.19}},
        {"kind": "pii", "columns": ["customer_email"], "evidence": {"matched": 60, "checked": 60}},
        {"kind": "constant", "columns": ["currency"], "evidence": {"present": total}},
        {"kind": "id_like", "columns": ["order_id"], "evidence": {"repeated": COPIES}},
        {"kind": "outliers", "columns": ["weight_kg"], "evidence": {"cells": 1, "value": 4800}},
    ]


def main() -> None:
    """Writes both files beside this script."""
    dice = random.Random(20260101)
    orders = [clean_order(dice, number) for number in range(ROWS)]
    planted = soil(dice, orders)
    untouched = [o for o in orders if o["courier"] and o["coupon"] != "N/A" and o["customer_age"] != 999
                 and o["country"] in COUNTRIES and o["quantity"] > 0 and o["order_date"] < "2097"
                 and o["weight_kg"] < 1000]  # fmt: skip
    orders += dice.sample(untouched, COPIES)
    with (HERE / "orders.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, HEADER, lineterminator="\n")
        writer.writeheader()
        writer.writerows(orders)
    text = json.dumps(planted, indent=1, ensure_ascii=False) + "\n"
    (HERE / "orders.answers.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()

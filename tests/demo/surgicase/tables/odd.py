"""The small tables with the difficult names. ``waiting_list_2031`` stays empty."""

from __future__ import annotations

from datetime import timedelta

from tests.demo.surgicase import plan as p
from tests.demo.surgicase import words
from tests.demo.surgicase.plan import Plan, with_gaps
from tests.demo.surgicase.sql import Raw, Rows, row, table


@table("`order`", "`key`, `select`, `from`, `group`, `values`")
def order(plan: Plan) -> Rows:
    dice = plan.dice("order")
    for number in range(200):
        group = number % 5 or None
        value = Raw(f"-{dice.randrange(10**6) / 100:.2f}") if number % 2 else None
        yield row(number * 3, dice.pick(words.TOOLS), number % p.SUPPLIERS + 1, group, value)


@table(
    "`patient survey 2024`",
    '`patient id`, `how are you?`, `% satisfied`, `tick``ed`, `a;b`, `-- remark`, `"quoted"`',
)
def patient_survey(plan: Plan) -> Rows:
    dice = plan.dice("patient survey 2024")
    for number in range(min(plan.patients, 300)):
        remark = words.NASTY_TEXTS[number % len(words.NASTY_TEXTS)] if number % 3 else None
        answer = dice.pick(["fine", "so-so", 'it\'s "fine"; thanks', "😀", ""])
        percent = dice.randrange(101) if number % 6 else None
        yield row(with_gaps(number), answer, percent, number % 2, "x;y", remark, 'a "b" c')


@table("`tray``s 100% contents.v1`", "`tray``s id`, `C:\\path`")
def tray_contents(plan: Plan) -> Rows:
    for number, tool in enumerate(words.TOOLS):
        yield row(number - 3, f"C:\\trays\\{tool}")


@table("`überweisungen 診療`", "`größe`, `日付`, `naïve`")
def referrals(plan: Plan) -> Rows:
    dice = plan.dice("überweisungen")
    for number in range(60):
        day = (p.FIRST_DAY + timedelta(number)).date()
        yield row(Raw(f"{dice.randrange(0, 900) / 10}"), day, dice.pick(words.LAST_NAMES))


@table("legacy_tariffs", "code, points, label")
def legacy_tariffs(plan: Plan) -> Rows:
    for number in range(150):
        yield row(f"T{number:05}", number * 7 - 500, f"Tarif {words.LATIN1_CITIES[number % 10]}; alt")


ODD = (order, patient_survey, tray_contents, referrals, legacy_tariffs)

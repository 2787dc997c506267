"""Supplies and money."""

from __future__ import annotations

from datetime import timedelta

from tests.demo.surgicase import plan as p
from tests.demo.surgicase import words
from tests.demo.surgicase.plan import Plan, invoice_lines, with_gaps
from tests.demo.surgicase.sql import Raw, Rows, row, table


def money(cents: int) -> Raw:
    return Raw(f"{cents // 100}.{cents % 100:02}")


@table("supplies", "id, supplier_id, name, stock, unit_price")
def supplies(plan: Plan) -> Rows:
    dice = plan.dice("supplies")
    for number in range(p.SUPPLIES):
        name = f"{dice.pick(words.TOOLS)}, size {number}"
        yield row(number + 1, dice.below(p.SUPPLIERS) + 1, name, 100_000, Raw(f"{dice.randrange(10**7) / 10**4:.4f}"))


@table("supply_usage", "id, supply_id, case_id, quantity, used_at")
def supply_usage(plan: Plan) -> Rows:
    dice = plan.dice("supply_usage")
    for number in range(plan.cases // 2):
        used = p.FIRST_DAY + timedelta(seconds=dice.randrange(p.DAYS * 86_400))
        yield row(with_gaps(number), dice.below(p.SUPPLIES) + 1, plan.some_case(dice), dice.randrange(1, 20), used)


@table("invoices", "id, case_id, insurer_id, issued_on, paid_on, line_count, total")
def invoices(plan: Plan) -> Rows:
    dice = plan.dice("invoices")
    for number in range(plan.invoices):
        lines = invoice_lines(number)
        issued = (p.FIRST_DAY + timedelta(dice.below(p.DAYS))).date()
        paid = "0000-00-00" if number % 3 else str(issued + timedelta(30))
        total = money(sum(quantity * cents for quantity, cents in lines))
        insurer = dice.below(p.INSURERS) + 1
        yield row(with_gaps(number), plan.some_case(dice), insurer, issued, paid, len(lines), total)


@table("invoice_lines", "invoice_id, line, text, quantity, unit_price")
def invoice_lines_(plan: Plan) -> Rows:
    dice = plan.dice("invoice_lines")
    for number in range(plan.invoices):
        for line, (quantity, cents) in enumerate(invoice_lines(number), start=1):
            yield row(with_gaps(number), line, dice.pick(words.TOOLS), quantity, money(cents))


@table("payments", "id, invoice_id, received_at, amount, reference")
def payments(plan: Plan) -> Rows:
    dice = plan.dice("payments")
    for number in range(0, plan.invoices, 3):
        received = p.FIRST_DAY + timedelta(microseconds=dice.randrange(p.DAYS * 86_400 * 10**6))
        reference = None if number % 2 else f"RF{number:08}"
        yield row(number + 1, with_gaps(number), received, money(dice.randrange(10**7)), reference)


LOGISTICS = (invoice_lines_, invoices, supply_usage, payments, supplies)

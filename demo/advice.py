"""The heart of the demo: a sample database, advice for its workload, the advice applied to a copy."""
import time

import show


def step_database(demo):
    """A sample AutoPR Engine database: tables and keys, no further index"""
    host = demo.host
    show.sql(f"SELECT * FROM {host.prefix}install_workflow_schema();")
    show.say()
    progress = show.Progress(f"tables, then rows of {host.scale:,} executions", 3)
    host.create(demo.workload, progress.step)
    names = [row[0] for row in host.query(host.counts)]
    show.table(["table", "rows"],
               [(name, f"{host.query(f'SELECT count(*) FROM {name}')[0][0]:,}") for name in names])
    where, count = host.where()
    show.say()
    show.note(f"{where}, {show.size(count)}")


def step_advice(demo):
    """Which indexes? The workload: the table demo_workload (statement, calls_per_hour)"""
    host = demo.host
    show.sql(host.advice_sql)
    show.say()
    started = time.monotonic()
    names, rows = host.ask(host.advice_sql)
    demo.advice = [dict(zip(names, row)) for row in rows]
    seconds = time.monotonic() - started
    show.note(f"{len(demo.advice)} rows in {seconds:.1f} s; nothing was changed. Row by row, each "
              "standing on those before it:")
    for row in demo.advice:
        show.say()
        show.note(f"{row['rank']}. on {row['table_name']}: {row['saving_ratio'] * 100:.0f} % of the "
                  f"workload's cost saved so far, for {show.size(row['size_bytes'])} more")
        show.note("because " + row["reason"], "     ")
        show.sql(show.broken(row["create_sql"]) + ";", "     ")
    warnings = dict.fromkeys(text for row in demo.advice for text in host.array(row["warnings"]))
    show.say()
    show.note("What these rows warn of" + (":" if warnings else ": nothing"))
    for text in warnings:
        show.note("- " + text)
    show.say()
    show.note("Each row has the statement that undoes it, too:")
    show.sql("\n".join(show.broken(row["drop_sql"]) + ";" for row in reversed(demo.advice)))


def step_applied(demo):
    """Is it true? The advice applied to a copy of the database, and measured again"""
    demo.host.switch_to_copy()
    show.note("The entries of each row's steps, one by one, and then:")
    show.sql("ANALYZE;")
    show.say()
    started = time.monotonic()
    for row in demo.advice:
        for statement in demo.host.array(row["steps"]):
            demo.host.apply(statement)
    demo.host.apply("ANALYZE")
    show.note(f"done in {time.monotonic() - started:.1f} s")
    demo.after = demo.measure("running the workload")

    def gain(item):  # milliseconds an hour
        return (demo.before[item["name"]] - demo.after[item["name"]]) * item["weight"]

    def compare(items, word, ratio):
        show.table(["ms before", "ms after", word, "calls/hour", "statement"],
                   [(f"{before:.2f}", f"{after:.2f}", show.times(ratio(before, after)),
                     f"{item['weight']:.0f}", item["sql"])
                    for item in items
                    for before, after in [(demo.before[item["name"]], demo.after[item["name"]])]])

    by_gain = sorted(demo.workload, key=gain, reverse=True)
    compare(by_gain[:6], "faster", lambda before, after: before / max(after, 0.001))
    slower = [item for item in reversed(by_gain) if gain(item) < 0 and
              demo.after[item["name"]] > 1.2 * demo.before[item["name"]] + 0.005]
    if slower:
        show.say()
        show.note("The price: statements that take longer now (an index must be written, too; "
                  "single runs of some microseconds also vary by themselves)")
        compare(slower[:3], "slower", lambda before, after: after / max(before, 0.001))
    before, after = demo.seconds_an_hour(demo.before), demo.seconds_an_hour(demo.after)
    show.say()
    show.note(f"The whole workload: {before:.1f} s an hour before, {after:.1f} s after: "
              f"{show.times(before / after)} faster.")

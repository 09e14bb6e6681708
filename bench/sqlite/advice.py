"""Index advice beside the sqlite3 shell's own .expert, on four schemas, everything really built and
really run: VM steps + 5 x page requests of the whole workload, bytes of the indexes, statements made
slower, with and without ANALYZE. Usage: advice.py UPKEEP_SO ROWS FOLDER [SCENARIO …]; databases in
FOLDER are kept and used again."""
import json
import os
import pathlib
import sys
import time

sys.dont_write_bytecode = True
os.environ["UPKEEP_BUILD"] = str(pathlib.Path(sys.argv[1]).resolve().parent)
sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "tests" / "sqlite"))
import advice_scenarios  # noqa: E402
import host  # noqa: E402
import measuring  # noqa: E402

LEAST = [float(least) for least in os.environ.get("UPKEEP_ADVICE_LEAST", "0.01 0").split()]
KINDS = os.environ.get("UPKEEP_ADVICE_KINDS")  # JSON; all that SQLite has unless given
VERBOSE = "UPKEEP_ADVICE_VERBOSE" in os.environ


def advise(path, scenario, least):
    db = host.connect(database=str(path), isolation_level=None)
    start = time.monotonic()
    rows = db.execute("SELECT create_sql, saving_ratio, warnings, size_bytes"
                      " FROM upkeep_advise_indexes(?, ?, NULL, 3, 30000, ?, ?)",
                      (json.dumps([s.sql for s in scenario.statements]),
                       json.dumps([s.weight for s in scenario.statements]), least, KINDS)).fetchall()
    seconds = time.monotonic() - start
    db.close()
    return rows, seconds


def worse(scenario, before, after):
    """Statements that got really slower; writes maintain indexes and are told apart."""
    return [(s.name, s.kind, before[s.name], after[s.name]) for s in scenario.statements
            if measuring.cost(after[s.name]) > 1.05 * measuring.cost(before[s.name]) + 20]


def total(scenario, measured, weighted=True):
    return sum((s.weight if weighted else 1) * measuring.cost(measured[s.name])
               for s in scenario.statements)


def measure_all(path, scenario):
    """As measuring's, with what was measured in other runs on the same file."""
    file = path.with_suffix(".memo.json")
    memo = json.loads(file.read_text()) if file.exists() else {}
    known = len(memo)
    try:
        return measuring.measure_all(path, scenario.statements, memo)
    finally:
        if len(memo) > known:
            file.write_text(json.dumps(memo))


def side(path, scenario, create_sqls):
    """Builds the set, measures, analyses, measures, takes all away."""
    names, size = measuring.build(path, create_sqls)
    plain = measure_all(path, scenario)
    measuring.analyse(path)
    analysed = measure_all(path, scenario)
    measuring.restore(path, names)
    return {"size": size, "count": len(names), "plain": plain, "analysed": analysed}


def cached(file, make):
    if file.exists():
        return json.loads(file.read_text())
    value = make()
    file.write_text(json.dumps(value))
    return value


def run(scenario, scale, folder, is_once):
    if is_once:
        scenario.statements = [s._replace(weight=1.0) for s in scenario.statements]
    path = folder / f"{scenario.name}-{scale}.db"
    if not path.exists():
        scenario.create(path, scale).close()
    once = ", each once" if is_once else ""
    base = cached(folder / f"{scenario.name}-{scale}.base.json",
                  lambda: side(path, scenario, []))
    base = {key: base[key] for key in ("plain", "analysed")}
    expert = cached(folder / f"{scenario.name}-{scale}.expert.json",
                    lambda: side(path, scenario, measuring.expert_indexes(path, scenario.statements)))
    for least in LEAST:
        advice, seconds = advise(path, scenario, least)
        report(scenario, scale, base, expert, advice, seconds, path, f"plain{once}, min_saving_ratio {least}")
    measuring.analyse(path)
    asked = [advise(path, scenario, least) for least in LEAST]
    measuring.restore(path, [])
    for least, (advice, seconds) in zip(LEAST, asked):
        measuring.analyse(path)  # as it was when asked: the statistics do not know the new indexes
        report(scenario, scale, base, expert, advice, seconds, path, f"analysed{once}, min_saving_ratio {least}")


def report(scenario, scale, base, expert, advice, seconds, path, asked):
    ours = side(path, scenario, [row[0] for row in advice])
    print(f"{scenario.name} {scale:,}, asked {asked}: {seconds:.2f} s; {ours['count']} indexes"
          f" {ours['size'] / 1e6:.1f} MB (estimated {sum(row[3] for row in advice) / 1e6:.1f});"
          f" .expert {expert['count']}, {expert['size'] / 1e6:.1f} MB: size x {ours['size'] / expert['size']:.3f}")
    for state in ("plain", "analysed"):
        ratios = [total(scenario, ours[state], weighted) / total(scenario, expert[state], weighted)
                  for weighted in (True, False)]
        saved = [total(scenario, which[state]) / total(scenario, base["plain"]) for which in (ours, expert)]
        before = "analysed" if state == "analysed" or asked.startswith("analysed") else "plain"
        bad = worse(scenario, base[before], ours[state])
        bad_expert = worse(scenario, base[state], expert[state])
        print(f"  {state:8}: cost x {ratios[0]:.3f} of .expert's (every statement once: {ratios[1]:.3f});"
              f" of the base {saved[0]:.4f}, .expert {saved[1]:.4f}, promised {1 - advice[-1][1] if advice else 1:.4f};"
              f" reads made worse: {[b[0] for b in bad if b[1] == 'read']}"
              f" (.expert's: {[b[0] for b in bad_expert if b[1] == 'read']})")
        if VERBOSE:
            for b in bad:
                print("     worse", b)
            shares = sorted(((s.weight * measuring.cost(ours[state][s.name]), s) for s in scenario.statements),
                            reverse=True)[:8]
            for share, s in shares:
                print(f"     {share / total(scenario, ours[state]):.3f} {s.name} w={s.weight:.0f} base"
                      f" {base['plain'][s.name]} expert {expert[state][s.name]} ours {ours[state][s.name]}")
    if VERBOSE:
        for row in advice:
            print(f"    {row[0]}  {row[3] / 1e6:.1f} MB saves {row[1]:.4f} {row[2]}")
    sys.stdout.flush()


def main():
    scale = int(sys.argv[2])
    folder = pathlib.Path(sys.argv[3])
    folder.mkdir(parents=True, exist_ok=True)
    for scenario in advice_scenarios.all_scenarios():
        if len(sys.argv) <= 4 or scenario.name in sys.argv[4:]:
            for is_once in (False, True):
                run(scenario, scale, folder, is_once)


main()

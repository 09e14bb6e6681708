# Every developer command, one line each. `./dev demo` and `./dev check` install what is missing first.
SHELL := /bin/bash
BUILD ?= build
JOBS ?= $(shell nproc)
PG_CONFIG ?= pg_config
PG := $(MAKE) --no-print-directory -C pg_ext PG_CONFIG=$(PG_CONFIG)
CMAKE_FLAGS ?=

.DEFAULT_GOAL := all
.PHONY: test-tree help all sqlite pg install uninstall demo check check-sqlite installcheck check-pgtap check-postgres check-sqlalchemy \
	check-parity check-scripts check-storm check-random check-sqlsmith check-reap-stress check-bare check-all check-world lint format docs fuzz asan tsan bench bench-sqlite bench-cost bench-prices \
	bench-collapse bench-findings bench-tpch bench-star bench-many bench-memory bench-memory-sqlite bench-close-sqlite bench-advice-effect bench-advice-sqlite clean

help:            ## this list
	@grep -hE '^[a-z-]+: .*##|^[a-z-]+:  *##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## */\t/' | expand -t 18

all: sqlite      ## the SQLite module: build/upkeep.so

$(BUILD)/Makefile: CMakeLists.txt
	cmake -S . -B $(BUILD) $(CMAKE_FLAGS)

sqlite: $(BUILD)/Makefile ## the SQLite module only
	@$(MAKE) --no-print-directory -C $(BUILD) -j$(JOBS) upkeep_sqlite

pg:              ## the PostgreSQL extension, not installed
	@$(PG) -j$(JOBS)

install: pg      ## puts the PostgreSQL extension in place
	@$(PG) install

uninstall:       ## removes it
	@$(PG) uninstall

demo: sqlite     ## every verb on a sample database (DEMO_ARGS=--postgres: on PostgreSQL)
	@bash demo/run.sh $(DEMO_ARGS)

# Configures again: the tests are left out of a build tree that was made before GoogleTest was there.
test-tree:
	@cmake -S . -B $(BUILD) $(CMAKE_FLAGS) >/dev/null

check: test-tree ## unit tests of the core (seconds)
	@$(MAKE) --no-print-directory -C $(BUILD) -j$(JOBS) upkeep_unit && $(BUILD)/upkeep_unit --gtest_brief=1

check-sqlite: test-tree ## the module in shell, python and C
	@$(MAKE) --no-print-directory -C $(BUILD) -j$(JOBS) all && bash tests/sqlite/run.sh $(BUILD)

installcheck: pg ## pg_regress on a throw-away cluster
	@bash tests/pg/run_regress.sh

check-pgtap: pg  ## pgTAP on a throw-away cluster
	@bash tests/pgtap/run.sh

check-postgres: pg sqlite ## oracles and processes against a real server
	@bash tests/pg/run.sh

check-sqlalchemy: pg sqlite ## integrations/sqlalchemy on a real server and on SQLite
	@UPKEEP_BUILD=$(CURDIR)/$(BUILD) bash tests/pg/run.sh tests/sqlalchemy/test_*.py

check-parity: sqlite pg ## the registered calls against both hosts' catalogs and tests/spec
	@bash tests/parity/run.sh $(BUILD)

check-scripts: sqlite pg ## the rules of scripts/, and that they fail when violated
	@$(MAKE) --no-print-directory -C $(BUILD) -j$(JOBS) upkeep_reference
	@bash scripts/run_checks.sh $(BUILD)

check-all:       ## everything that CI runs; ends with `N passed, N failed`
	@bash tests/run_suites.sh

check-world: check-all asan fuzz ## and the slow suites

check-storm: sqlite pg ## the advisor under ten thousand statements, forty joins, a thousand columns, DDL, cancels; timed, so not in CI (minutes)
	@bash tests/pg/with_cluster.sh -c autovacuum=off /usr/bin/python3 -B tests/pg/storm_advisor.py
	@UPKEEP_BUILD=$(CURDIR)/$(BUILD) /usr/bin/python3 -B tests/sqlite/storm_advisor.py

check-random: sqlite pg ## 500 random cases of advice a host, built and priced again (UPKEEP_RANDOM_ROUNDS, UPKEEP_RANDOM_SEED; half an hour)
	@UPKEEP_RANDOM_ROUNDS=$${UPKEEP_RANDOM_ROUNDS:-500} bash tests/pg/with_cluster.sh -c autovacuum=off \
		/usr/bin/python3 -B tests/pg/test_random_advice.py; pg=$$?; \
	UPKEEP_BUILD=$(BUILD) UPKEEP_RANDOM_ROUNDS=$${UPKEEP_RANDOM_ROUNDS:-500} \
		/usr/bin/python3 -B tests/sqlite/test_random_advice.py && exit $$pg

check-sqlsmith: pg ## random statements with everything captured, UPKEEP_SQLSMITH_SECONDS long (default 1800)
	@bash tests/pg/sqlsmith.sh

check-reap-stress: pg ## 20,000 sessions ended at the moment of their next command, beside SQL and the server's timeouts; 500 in time (10 minutes)
	@bash tests/pg/with_cluster.sh -c shared_preload_libraries=upkeep_preload -c upkeep.reaper=on -c listen_addresses=127.0.0.23 \
		/usr/bin/python3 -B tests/pg/stress_reap.py $${UPKEEP_STRESS_ENDINGS:-20000}
	@bash tests/pg/with_cluster.sh -c shared_preload_libraries=upkeep_preload -c upkeep.reaper=on -c max_connections=600 \
		/usr/bin/python3 -B tests/pg/prompt_reap.py

check-bare:      ## ./dev demo and ./dev check in a bare Debian 12 each (root, debootstrap, slow)
	@bash scripts/try_bare.sh

lint:            ## format check, clang-tidy, shellcheck, scripts/check_*.sh
	@bash scripts/lint.sh $(BUILD)

format:          ## clang-format over all sources
	@git ls-files -co --exclude-standard '*.cpp' '*.h' '*.c' | xargs clang-format -i

docs: $(BUILD)/Makefile ## docs/reference.md from the registered calls
	@$(MAKE) --no-print-directory -C $(BUILD) upkeep_reference && $(BUILD)/upkeep_reference > docs/reference.md

fuzz:            ## libFuzzer targets, FUZZ_SECONDS each (default 60)
	@bash tests/fuzz/run.sh

asan:            ## core unit tests under ASan+UBSan, SQLite suite under ASan
	@bash tests/run_sanitized.sh

tsan:            ## SQLite capture under ThreadSanitizer: 16 threads open, run, read, close
	@bash tests/run_tsan.sh

bench:           ## benches; results with their command go to bench/README.md
	@cmake -S . -B build-bench -DUPKEEP_BENCH=ON -DUPKEEP_TESTS=OFF >/dev/null
	@$(MAKE) --no-print-directory -C build-bench -j$(JOBS) upkeep_bench && build-bench/upkeep_bench

bench-sqlite: sqlite ## what capture costs an application with SQLite, as a ratio
	@cmake -S . -B build-bench -DUPKEEP_BENCH=ON -DUPKEEP_TESTS=OFF >/dev/null
	@$(MAKE) --no-print-directory -C build-bench -j$(JOBS) upkeep_bench_sqlite
	@build-bench/upkeep_bench_sqlite $(CURDIR)/$(BUILD)/upkeep.so

bench-prices: pg ## truth of prices and sizes: 200 random statements and index sets, then built for real (minutes)
	@$(MAKE) --no-print-directory -C pg_ext/test PG_CONFIG=$(PG_CONFIG) >/dev/null
	@UPKEEP_GUARD_TEST=1 UPKEEP_TRUTH_PAIRS=$${UPKEEP_TRUTH_PAIRS:-200} bash tests/pg/with_cluster.sh \
		-c autovacuum=off /usr/bin/python3 -B tests/pg/test_price_truth.py

bench-cost: pg   ## what capture costs a PostgreSQL backend, in instructions (valgrind, minutes)
	@bash bench/capture_cost.sh

bench-collapse: pg ## many distinct statements, three servers side by side (a minute)
	@bash bench/collapse.sh

bench-tpch: pg ## index advice on TPC-H, built for real, against a greedy advisor; UPKEEP_TPCH=FOLDER of the queries (half an hour)
	@bash bench/tpch/run.sh $(BENCH_ARGS)

bench-findings: sqlite pg ## index_findings beside 5,000 captured statements, both hosts
	@UPKEEP_BUILD=$(BUILD) /usr/bin/python3 -B bench/index_findings.py
	@bash tests/pg/with_cluster.sh -c shared_preload_libraries=upkeep_preload /usr/bin/python3 -B bench/index_findings.py

bench-star: pg ## index advice for 100 report statements over a snowflake of 25 tables, built for real (minutes)
	@bash bench/star/run.sh

bench-many: pg ## does advice for ten tables take longer beside 5,000 others? (minutes)
	@bash tests/pg/with_cluster.sh -c max_locks_per_transaction=256 /usr/bin/python3 -B bench/advice/many.py

bench-memory: pg ## 10 million statements through a backend: does it grow? (half an hour)
	@UPKEEP_MEMORY_STATEMENTS=$${UPKEEP_MEMORY_STATEMENTS:-10000000} UPKEEP_SHOW_LOG=1 bash tests/pg/with_cluster.sh \
		-c shared_preload_libraries=upkeep_preload -c autovacuum=off /usr/bin/python3 -B tests/pg/test_memory.py

bench-memory-sqlite: sqlite ## 10 million statements, a million distinct, through SQLite: does it grow? (minutes)
	@UPKEEP_BUILD=$(BUILD) UPKEEP_MEMORY_STATEMENTS=$${UPKEEP_MEMORY_STATEMENTS:-10000000} \
		UPKEEP_MEMORY_DISTINCT=$${UPKEEP_MEMORY_DISTINCT:-1000000} /usr/bin/python3 -B tests/sqlite/test_capture_memory.py

bench-close-sqlite: sqlite ## what the save at close costs an application with SQLite
	@/usr/bin/python3 -B bench/sqlite/close.py $(BUILD)/upkeep.so && /usr/bin/python3 -B bench/sqlite/close.py $(BUILD)/upkeep.so 50 5000

bench-advice-effect: pg ## the advised indexes built: measured time beside the prediction, 1 M executions (minutes)
	@bash bench/advice/effect.sh

bench-advice-sqlite: sqlite ## index advice beside the sqlite3 shell's .expert, built and measured (ADVICE_ROWS, ADVICE_FOLDER: 3 GB at a million)
	@/usr/bin/python3 -B bench/sqlite/advice.py $(BUILD)/upkeep.so $${ADVICE_ROWS:-1000000} $${ADVICE_FOLDER:-/tmp/upkeep-advice}

clean:           ## removes what was built
	rm -rf build build-asan build-tsan build-fuzz build-bench; $(PG) clean

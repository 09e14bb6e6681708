/* The module in a C program: loads, answers, fails cleanly, leaks nothing, many connections and
   threads. Usage: upkeep_load_test BUILD_DIR. Ends with `N passed, N failed`.
   SPDX-License-Identifier: PostgreSQL */
#include <pthread.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__)
#define UNDER_ASAN 1
#else
#define UNDER_ASAN 0
#endif

static int passed, failed;
static char module_path[4096], guards_path[4096];

static void check(int ok, const char* what, const char* found) {
    if (ok) {
        ++passed;
    } else {
        ++failed;
        printf("load_test: %s; found: %s\n", what, found ? found : "(null)");
    }
}

static sqlite3* open_db(void) {
    sqlite3* db = NULL;
    if (sqlite3_open(":memory:", &db) != SQLITE_OK) {
        printf("cannot open\n");
        exit(1);
    }
    sqlite3_enable_load_extension(db, 1);
    return db;
}

static int load(sqlite3* db, const char* path) {
    char* error = NULL;
    int code = sqlite3_load_extension(db, path, NULL, &error);
    if (code != SQLITE_OK) {
        printf("load %s: %s\n", path, error ? error : "?");
    }
    sqlite3_free(error);
    return code;
}

/* First column of the first row, or the error's text; its code in *code. Static buffer. */
static const char* ask(sqlite3* db, const char* sql, int* code) {
    static _Thread_local char text[4096];
    sqlite3_stmt* stmt = NULL;
    text[0] = '\0';
    int step = sqlite3_prepare_v2(db, sql, -1, &stmt, NULL);
    if (step == SQLITE_OK) {
        step = sqlite3_step(stmt);
    }
    if (step == SQLITE_ROW) {
        const unsigned char* value = sqlite3_column_text(stmt, 0);
        snprintf(text, sizeof text, "%s", value ? (const char*)value : "NULL");
    } else if (step != SQLITE_DONE) {
        snprintf(text, sizeof text, "%s", sqlite3_errmsg(db));
    }
    *code = step;
    sqlite3_finalize(stmt);
    return text;
}

static void expect(sqlite3* db, const char* sql, int wanted_code, const char* wanted) {
    int code;
    const char* found = ask(db, sql, &code);
    int ok = code == wanted_code && strstr(found, wanted) != NULL;
    if (!ok) {
        printf("load_test: code %d, wanted %d: ", code, wanted_code);
    }
    check(ok, sql, found);
}

static void test_module(void) {
    sqlite3* db = open_db();
    int code;
    check(load(db, module_path) == SQLITE_OK, "loads", NULL);
    check(strchr(ask(db, "SELECT upkeep_version()", &code), '.') != NULL, "has a version", NULL);
    expect(db, "SELECT count(*) > 3 FROM upkeep_capabilities", SQLITE_ROW, "1");
    expect(db, "SELECT upkeep_set('no such', 1)", SQLITE_ERROR,
           "unknown setting \"no such\" (hint: ");
    expect(db, "SELECT upkeep_version(1)", SQLITE_ERROR, "wrong number of arguments");
    check(load(db, module_path) == SQLITE_OK, "loads twice", NULL);
    sqlite3_stmt* running = NULL;
    sqlite3_prepare_v2(db, "SELECT upkeep_version() FROM upkeep_capabilities", -1, &running, NULL);
    sqlite3_step(running);
    check(load(db, module_path) == SQLITE_OK, "loads while a statement runs", sqlite3_errmsg(db));
    check(sqlite3_step(running) == SQLITE_ROW, "the statement goes on", sqlite3_errmsg(db));
    sqlite3_finalize(running);
    char sql[5000];
    snprintf(sql, sizeof sql, "SELECT load_extension('%s')", module_path);
    expect(db, sql, SQLITE_ROW, "NULL");
    check(sqlite3_close(db) == SQLITE_OK, "closes with nothing left open", NULL);
}

static void test_connections(void) {
    enum { kCount = 200 };
    sqlite3* all[kCount];
    int loaded = 0, answered = 0, closed = 0, code;
    for (int i = 0; i < kCount; ++i) {
        all[i] = open_db();
        loaded += load(all[i], module_path) == SQLITE_OK;
    }
    for (int i = 0; i < kCount; ++i) {
        ask(all[i], "SELECT * FROM upkeep_settings", &code);
        answered += code == SQLITE_ROW;
    }
    for (int i = 0; i < kCount; ++i) {
        closed += sqlite3_close(all[i]) == SQLITE_OK;
    }
    check(loaded == kCount && answered == kCount && closed == kCount, "many connections", NULL);
}

/* A setting belongs to the process: it outlives every connection. */
static void test_settings_last(void) {
    sqlite3* db = open_db();
    load(db, module_path);
    expect(db, "SELECT upkeep_set('workflow_profile', 'guide')", SQLITE_ROW, "guide");
    sqlite3_close(db);
    db = open_db();
    load(db, module_path);
    const char* value = "SELECT value FROM upkeep_settings WHERE name = 'workflow_profile'";
    expect(db, value, SQLITE_ROW, "guide");
    expect(db, "SELECT upkeep_set('workflow_profile', 'neither')", SQLITE_ERROR,
           "corrected, guide");
    expect(db, value, SQLITE_ROW, "guide");
    expect(db, "SELECT upkeep_set('workflow_profile', 'corrected')", SQLITE_ROW, "corrected");
    sqlite3_close(db);
}

static void* thread_main(void* unused) {
    (void)unused;
    long bad = 0;
    int code;
    for (int i = 0; i < 50; ++i) {
        sqlite3* db = open_db();
        bad += load(db, module_path) != SQLITE_OK;
        ask(db, "SELECT upkeep_set('workflow_profile', 'corrected')", &code);
        bad += code != SQLITE_ROW;
        ask(db, "SELECT * FROM upkeep_settings", &code);
        bad += code != SQLITE_ROW;
        bad += sqlite3_close(db) != SQLITE_OK;
    }
    return (void*)bad;
}

static void test_threads(const char* what, void* (*work)(void*)) {
    pthread_t threads[4];
    long bad = 0;
    for (int i = 0; i < 4; ++i) {
        pthread_create(&threads[i], NULL, work, NULL);
    }
    for (int i = 0; i < 4; ++i) {
        void* result;
        pthread_join(threads[i], &result);
        bad += (long)result;
    }
    check(bad == 0, what, NULL);
}

static void test_kinds(sqlite3* db) {
    static const struct {
        const char* kind;
        int code;
        const char* text;
    } rows[] = {
        {"kInvalidArgument", SQLITE_ERROR, "thrown kInvalidArgument (hint: do something)"},
        {"kNotFound", SQLITE_ERROR, "thrown kNotFound (hint: do something)"},
        {"kPermissionDenied", SQLITE_AUTH, "thrown kPermissionDenied (hint: do something)"},
        {"kUnsupported", SQLITE_ERROR, "thrown kUnsupported (hint: do something)"},
        {"kBusy", SQLITE_BUSY, "thrown kBusy (hint: do something)"},
        {"kInterrupted", SQLITE_INTERRUPT, "thrown kInterrupted (hint: do something)"},
        {"kHost", SQLITE_ERROR, "thrown kHost (hint: do something)"},
        {"kInternal", SQLITE_INTERNAL, "thrown kInternal (hint: do something)"},
        {"bad_alloc", SQLITE_NOMEM, "out of memory"},
        {"runtime_error", SQLITE_INTERNAL, "thrown runtime_error"},
        {"int", SQLITE_INTERNAL, "unknown C++ exception"},
        {"no hint", SQLITE_ERROR, "thrown without hint"},
        {"long", SQLITE_ERROR, "mmmmmmmm"},
        {"returned", SQLITE_ERROR, "returned, not thrown (hint: look elsewhere)"},
        {"wrong type", SQLITE_INTERNAL, "upkeep_t_throw"},
        {"host prepare", SQLITE_ERROR, "no such table: missing_table"},
        {"host step", SQLITE_ERROR, "integer overflow"},
        {"host percent", SQLITE_ERROR, "no such table: 100%s%n"},
        {"host open", SQLITE_ERROR, "unable to open database file"},
    };
    char sql[200];
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; ++i) {
        snprintf(sql, sizeof sql, "SELECT upkeep_t_throw('%s')", rows[i].kind);
        expect(db, sql, rows[i].code, rows[i].text);
        snprintf(sql, sizeof sql, "SELECT * FROM upkeep_t_throw_rows('%s')", rows[i].kind);
        expect(db, sql, rows[i].code, rows[i].text);
    }
    expect(db, "SELECT * FROM upkeep_t_throw_rows('wide row')", SQLITE_INTERNAL, "another shape");
    expect(db, "SELECT upkeep_t_throw('none')", SQLITE_ROW, "0");
    expect(db, "SELECT number FROM upkeep_t_throw_rows('none')", SQLITE_ROW, "1");
    expect(db, "SELECT upkeep_t_live()", SQLITE_ROW, "0");
}

static const char* const kMillion =
    "CREATE TABLE orders(id INTEGER PRIMARY KEY, customer INTEGER, note TEXT);"
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000000)"
    " INSERT INTO orders SELECT i, i * 7919 % 50021, 'note ' || i % 977 FROM n;"
    /* rowids too sparse for probing: the sample needs a scan */
    "CREATE TABLE sparse(id INTEGER PRIMARY KEY, customer INTEGER);"
    "INSERT INTO sparse SELECT id * 1000003, customer FROM orders;";

static void run(sqlite3* db, const char* sql) {
    char* error = NULL;
    if (sqlite3_exec(db, sql, NULL, NULL, &error) != SQLITE_OK) {
        check(0, sql, error);
    }
    sqlite3_free(error);
}

static sqlite3* open_million(void) {
    sqlite3* db = open_db();
    check(load(db, module_path) == SQLITE_OK, "loads", NULL);
    run(db, kMillion);
    return db;
}

static int plan_names(sqlite3* db, const char* statement, const char* name) {
    char sql[2000];
    sqlite3_stmt* plan = NULL;
    int found = 0;
    snprintf(sql, sizeof sql, "EXPLAIN QUERY PLAN %s", statement);
    sqlite3_prepare_v2(db, sql, -1, &plan, NULL);
    while (sqlite3_step(plan) == SQLITE_ROW) {
        found |= strstr((const char*)sqlite3_column_text(plan, 3), name) != NULL;
    }
    sqlite3_finalize(plan);
    return found;
}

/* The proposal is created and the planner then names it; its size is as said. */
static void test_advice(sqlite3* db) {
    static const char* const statement = "SELECT note FROM orders WHERE customer = 4711";
    char create[1000], sql[2000];
    int code;
    snprintf(sql, sizeof sql, "SELECT create_sql FROM upkeep_advise_indexes('%s')", statement);
    snprintf(create, sizeof create, "%s", ask(db, sql, &code));
    check(code == SQLITE_ROW, "advises", create);
    snprintf(sql, sizeof sql, "SELECT size_bytes FROM upkeep_advise_indexes('%s')", statement);
    double size = atof(ask(db, sql, &code));
    check(!plan_names(db, statement, "idx_orders_customer"), "not created by the advice", NULL);
    run(db, create);
    check(plan_names(db, statement, "INDEX idx_orders_customer "), "the planner uses it", create);
    double real = atof(
        ask(db, "SELECT pgsize FROM dbstat WHERE name = 'idx_orders_customer' AND aggregate = 1",
            &code));
    check(size > 0.85 * real && size < 1.15 * real, "the size is as said", NULL);
    snprintf(sql, sizeof sql, "SELECT count(*) FROM upkeep_advise_indexes('%s')", statement);
    expect(db, sql, SQLITE_ROW, "0");
    run(db, "DROP INDEX idx_orders_customer");
}

static double now_ms(void) {
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return (double)at.tv_sec * 1000 + (double)at.tv_nsec / 1e6;
}

struct interrupt {
    sqlite3* db;
    useconds_t after;
    double at_ms;
};

static void* interrupt_at(void* data) {
    struct interrupt* interrupt = data;
    usleep(interrupt->after);
    interrupt->at_ms = now_ms();
    sqlite3_interrupt(interrupt->db);
    return NULL;
}

/* Interrupted at many points, the call ends at once and leaves the connection as it was. */
static void test_interrupted_advice(sqlite3* db) {
    static const char* const sql =
        "SELECT count(*) FROM upkeep_advise_indexes('SELECT * FROM sparse WHERE customer = 3;"
        " SELECT * FROM orders WHERE note = ''note 5''')";
    int interrupted = 0, code;
    double latency_ms = 0;
    sqlite3_int64 changes = sqlite3_total_changes64(db);
    double start = now_ms();
    expect(db, sql, SQLITE_ROW, "2");
    double whole_ms = now_ms() - start;
    for (int i = 0; i < 10; ++i) {
        struct interrupt interrupt = {db, (useconds_t)(whole_ms * 100 * i), 0};
        pthread_t thread;
        pthread_create(&thread, NULL, interrupt_at, &interrupt);
        const char* text = ask(db, sql, &code);
        double end = now_ms();
        pthread_join(thread, NULL);
        if (code == SQLITE_INTERRUPT) {
            ++interrupted;
            check(strstr(text, "interrupt") != NULL, "the error says so", text);
            latency_ms = end - interrupt.at_ms > latency_ms ? end - interrupt.at_ms : latency_ms;
        } else {
            check(code == SQLITE_ROW, "or it was faster", text);
        }
    }
    char found[100];
    snprintf(found, sizeof found, "%d of 10 interrupted, %.1f ms at most (whole call %.0f ms)",
             interrupted, latency_ms, whole_ms);
    printf("measured: interrupt in C: %s\n", found);
    check(interrupted >= 4 && latency_ms < 1000, "interrupt in the middle", found);
    check(sqlite3_total_changes64(db) == changes && sqlite3_get_autocommit(db) != 0 &&
              sqlite3_next_stmt(db, NULL) == NULL,
          "nothing is left of interrupted calls", NULL);
    expect(db, sql, SQLITE_ROW, "2");
}

static void* advise_main(void* unused) {
    (void)unused;
    long bad = 0;
    int code;
    sqlite3* db = open_db();
    bad += load(db, module_path) != SQLITE_OK;
    ask(db, "CREATE TABLE t(a, b)", &code);
    ask(db,
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000)"
        " INSERT INTO t SELECT i % 100, i FROM n",
        &code);
    for (int i = 0; i < 20; ++i) {
        const char* text =
            ask(db, "SELECT create_sql FROM upkeep_advise_indexes('SELECT * FROM t WHERE a = 1')",
                &code);
        bad += code != SQLITE_ROW || strstr(text, "idx_t_a ON t (a)") == NULL;
        text = ask(db, "SELECT * FROM upkeep_what_if('SELECT * FROM nope', '[]')", &code);
        bad += code != SQLITE_ERROR || strstr(text, "no such table: nope") == NULL;
    }
    bad += sqlite3_close(db) != SQLITE_OK;
    return (void*)bad;
}

/* Errors of the calls themselves: from the arguments and from deep inside the planner. */
static void raise_advisor_errors(sqlite3* db, int count) {
    static const char* const statements[] = {
        "SELECT * FROM upkeep_what_if(NULL, '[]')",
        "SELECT * FROM upkeep_what_if('nonsense', '[]')",
        "SELECT * FROM upkeep_advise_indexes('SELECT * FROM nope')",
        "SELECT * FROM upkeep_what_if('SELECT a FROM t WHERE a = 1', 'CREATE INDEX i ON t(nope)')",
        "SELECT * FROM upkeep_advise_indexes('SELECT a FROM t', NULL, -1)",
        "SELECT * FROM upkeep_advise_indexes('SELECT a FROM t WHERE a = 1; DROP TABLE t')"};
    int code, missed = 0;
    for (int i = 0; i < count; ++i) {
        ask(db, statements[i % 6], &code);
        missed += code != SQLITE_ERROR;
    }
    check(missed == 0, "every error of the advisor arrives", NULL);
}

static long resident_kb(void) {
    long pages = 0, resident = 0;
    FILE* statm = fopen("/proc/self/statm", "r");
    if (statm == NULL || fscanf(statm, "%ld %ld", &pages, &resident) != 2) {
        resident = 0;
    }
    if (statm != NULL) {
        fclose(statm);
    }
    return resident * (sysconf(_SC_PAGESIZE) / 1024);
}

static void raise_errors(sqlite3* db, int count) {
    static const char* const kinds[] = {"kInvalidArgument", "runtime_error", "int",  "bad_alloc",
                                        "host prepare",     "host step",     "long", "returned"};
    char sql[200];
    int code, missed = 0;
    for (int i = 0; i < count; ++i) {
        snprintf(
            sql, sizeof sql,
            i / 8 % 2 ? "SELECT upkeep_t_throw('%s')" : "SELECT * FROM upkeep_t_throw_rows('%s')",
            kinds[i % 8]);
        ask(db, sql, &code);
        missed += code == SQLITE_ROW || code == SQLITE_DONE;
    }
    check(missed == 0, "every error arrives", NULL);
}

static void test_no_growth(sqlite3* db, void (*raise)(sqlite3*, int), int count) {
    raise(db, 2000); /* fills caches */
    sqlite3_int64 memory = sqlite3_memory_used();
    long resident = resident_kb();
    raise(db, count);
    memory = sqlite3_memory_used() - memory;
    resident = resident_kb() - resident;
    char text[100];
    snprintf(text, sizeof text, "%lld bytes in SQLite, %ld kB resident", (long long)memory,
             resident);
    check(memory <= 4096, "SQLite's memory does not grow over many errors", text);
    /* 50,000 leaked frames of 4 kB would be 200 MB. ASan keeps freed memory in quarantine. */
    check(UNDER_ASAN || resident < 1024, "the process does not grow over many errors", text);
}

static void* interrupt_soon(void* db) {
    usleep(200 * 1000);
    sqlite3_interrupt(db);
    return NULL;
}

static void test_interrupt(sqlite3* db) {
    pthread_t thread;
    pthread_create(&thread, NULL, interrupt_soon, db);
    expect(db, "SELECT upkeep_t_work(60000)", SQLITE_INTERRUPT, "interrupt");
    pthread_join(thread, NULL);
    expect(db, "SELECT upkeep_t_live()", SQLITE_ROW, "0");
    expect(db, "SELECT upkeep_t_work(1) > 0", SQLITE_ROW, "1");
}

/* Statements outlive their close, and capture, in every order. Capture is off at the end. */
static void test_capture_and_close(void) {
    sqlite3* first = open_db();
    load(first, module_path);
    expect(first, "SELECT upkeep_capture(1)", SQLITE_ROW, "NULL");
    sqlite3* zombie = open_db();
    sqlite3_stmt* open = NULL;
    sqlite3_prepare_v2(zombie, "SELECT 1 UNION ALL SELECT 2", -1, &open, NULL);
    check(sqlite3_step(open) == SQLITE_ROW, "captured: a row", NULL);
    check(sqlite3_close(zombie) == SQLITE_BUSY, "close refuses with a statement open", NULL);
    check(sqlite3_close_v2(zombie) == SQLITE_OK, "close_v2 does not", NULL);
    check(sqlite3_step(open) == SQLITE_ROW, "the statement outlives its connection", NULL);
    sqlite3_finalize(open);
    sqlite3_prepare_v2(first, "SELECT 7 AS kept UNION ALL SELECT 8", -1, &open, NULL);
    sqlite3_step(open);
    expect(first, "SELECT upkeep_capture(0)", SQLITE_ROW, "NULL");
    check(sqlite3_step(open) == SQLITE_ROW && sqlite3_step(open) == SQLITE_DONE,
          "a statement goes on when capture stops", sqlite3_errmsg(first));
    expect(first, "SELECT upkeep_capture(1)", SQLITE_ROW, "NULL");
    sqlite3_step(open);
    sqlite3_finalize(open);
    expect(first, "SELECT group_concat(calls || query, '; ') FROM upkeep_statements", SQLITE_ROW,
           "1select ? union all select ?");
    expect(first,
           "SELECT count(*) FROM upkeep_statements WHERE query LIKE '% kept %' AND calls = 1",
           SQLITE_ROW, "1");
    expect(first, "SELECT upkeep_capture(0)", SQLITE_ROW, "NULL");
    check(sqlite3_close(first) == SQLITE_OK, "closes with nothing left open", NULL);
}

int main(int argc, char** argv) {
    const char* build = argc > 1 ? argv[1] : "build";
    snprintf(module_path, sizeof module_path, "%s/upkeep", build);
    snprintf(guards_path, sizeof guards_path, "%s/upkeepguards", build);
    test_module();
    test_connections();
    test_settings_last();
    test_capture_and_close();
    test_threads("threads", thread_main);
    test_threads("threads that advise", advise_main);
    sqlite3* db = open_million();
    test_advice(db);
    test_interrupted_advice(db);
    check(sqlite3_close(db) == SQLITE_OK, "closes with nothing left open", NULL);
    db = open_db();
    load(db, module_path);
    run(db, "CREATE TABLE t(a, b); INSERT INTO t VALUES (1, 2)");
    /* half a millisecond each: a replica is made before the error shows */
    test_no_growth(db, raise_advisor_errors, UNDER_ASAN ? 1000 : 10000);
    check(sqlite3_close(db) == SQLITE_OK, "closes with nothing left open", NULL);
    db = open_db();
    check(load(db, guards_path) == SQLITE_OK, "loads the guards module", NULL);
    test_kinds(db);
    test_no_growth(db, raise_errors, 50000);
    expect(db, "SELECT upkeep_t_live()", SQLITE_ROW, "0");
    test_interrupt(db);
    check(sqlite3_close(db) == SQLITE_OK, "closes with nothing left open", NULL);
    printf("%d passed, %d failed\n", passed, failed);
    return failed > 0;
}

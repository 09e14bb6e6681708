"""Two listeners for SQLAlchemy 1.4 and 2.0 that let upkeep see what only the application knows.

    report_pool(engine)     how the engine's pool is doing       -> upkeep.pools
    tag_endpoints(engine)   which route a transaction serves     -> upkeep.statements.endpoint

Neither fails the application: whatever goes wrong is logged under `upkeep.sqlalchemy`, and tried again
later and later. Only public methods of the pool are used. PostgreSQL by psycopg2 or psycopg, SQLite by
the standard library's sqlite3 (with the module loaded on each connection); with any other driver both
do nothing and say so once. SPDX-License-Identifier: PostgreSQL
"""
import contextlib
import contextvars
import logging
import os
import socket
import threading
import time

from sqlalchemy import event
from sqlalchemy.exc import TimeoutError as NoConnectionInTime
from sqlalchemy.pool import QueuePool

log = logging.getLogger("upkeep.sqlalchemy")

LONGEST_PAUSE_S = 3600  # between two attempts where reporting fails
NAME_BYTES = 63
ENDPOINT_BYTES = 128
TAGGED = "upkeep_endpoint"  # in the connection's info: what the session is set to

current_endpoint = contextvars.ContextVar("upkeep_endpoint", default=None)


@contextlib.contextmanager
def endpoint(name):
    """What runs inside belongs to this route or action."""
    token = current_endpoint.set(name)
    try:
        yield
    finally:
        current_endpoint.reset(token)


def report_pool(engine, name=None, every=10.0):
    """Reports the engine's pool when a connection comes back to it, every `every` seconds at most.

    The pool is called `name` or the host's name, with the process id behind it. Returns the reporter,
    or None where there is nothing to report.
    """
    host = _host_of(engine)
    if host is None:
        return None
    if not isinstance(engine.pool, QueuePool) or engine.pool.size() < 1:
        log.info("%s has no size: nothing to report", type(engine.pool).__name__)
        return None
    return _Reporter(engine, host, name or socket.gethostname(), every)


def tag_endpoints(engine, current=current_endpoint.get):
    """Sets `upkeep.endpoint` to what `current()` says: for each transaction, in autocommit for each statement."""
    host = _host_of(engine)
    return None if host is None else _Tagger(engine, host, current)


class _Postgres:
    report = "SELECT upkeep.report_pool(%s, %s, %s, %s, %s, %s, %s)"

    @staticmethod
    def is_idle(connection):
        return connection.info.transaction_status == 0

    @staticmethod
    def tag(connection, name, for_transaction):
        _run(connection, "SELECT set_config('upkeep.endpoint', %s, %s)", (name or "", for_transaction))

    @staticmethod
    def lasts(connection):
        """Does a setting have to be the session's, as each statement is a transaction of its own?"""
        return connection.autocommit

    @staticmethod
    def can_take(connection):
        return connection.info.transaction_status != 3  # in a failed transaction nothing can be set


class _Sqlite:
    report = "SELECT upkeep_report_pool(?, ?, ?, ?, ?, ?, ?)"

    @staticmethod
    def is_idle(connection):
        return not connection.in_transaction

    @staticmethod
    def tag(connection, name, _for_transaction):
        _run(connection, "SELECT upkeep_set_endpoint(?)", (name,))

    @staticmethod
    def lasts(_connection):
        return True

    @staticmethod
    def can_take(_connection):
        return True


HOSTS = {("postgresql", "psycopg2"): _Postgres, ("postgresql", "psycopg"): _Postgres, ("sqlite", "pysqlite"): _Sqlite}


def _host_of(engine):
    host = HOSTS.get((engine.dialect.name, engine.dialect.driver))
    if host is None:
        log.warning("driver %s is not supported: nothing is told to upkeep", engine.dialect.driver)
    return host


def _run(connection, sql, parameters):
    cursor = connection.cursor()
    try:
        cursor.execute(sql, parameters)
        cursor.fetchall()
    finally:
        cursor.close()


class _Waits:
    """What checkouts of this process went through. A forked child begins anew, with a lock that is free."""

    def __init__(self):
        self.pid = os.getpid()
        self.lock = threading.Lock()
        self.waiting = 0
        self.timeouts = 0
        self.wait_ms = 0.0


class _Reporter:
    def __init__(self, engine, host, name, every):
        self._engine, self._host, self._name = engine, host, name
        self._every = self._pause = every
        self._next = 0.0
        self._state = _Waits()
        self._watch(engine)
        event.listen(engine, "checkin", self._on_checkin)
        event.listen(engine, "engine_disposed", self._watch)

    def _waits(self):
        if self._state.pid != os.getpid():
            self._state = _Waits()
        return self._state

    def _watch(self, engine):
        """Times the checkouts of the engine's pool that find no connection at once."""
        pool, connect = engine.pool, engine.pool.connect

        def timed_connect(*arguments, **options):
            waits, start = self._waits(), time.monotonic()
            has_to_wait = pool.checkedin() == 0 and pool.checkedout() >= pool.size()
            with waits.lock:
                waits.waiting += has_to_wait
            try:
                return connect(*arguments, **options)
            except NoConnectionInTime:
                with waits.lock:
                    waits.timeouts += 1
                raise
            finally:
                with waits.lock:
                    waits.waiting -= has_to_wait
                    waits.wait_ms += (time.monotonic() - start) * 1000 if has_to_wait else 0

        pool.connect = timed_connect

    def numbers(self):
        """The arguments of report_pool, as they will be once the connection that carries them is back."""
        pool, waits = self._engine.pool, self._waits()
        size = pool.size()
        out = max(pool.checkedout() - 1, 0)
        # overflow() is negative until the pool has been full, and read a moment after checkedout()
        overflow = max(min(max(pool.overflow(), 0), out), out - size)
        suffix = f":{os.getpid()}"
        name = self._name.encode()[:NAME_BYTES - len(suffix)].decode(errors="ignore") + suffix
        with waits.lock:
            return name, size, out, overflow, waits.waiting, waits.timeouts, waits.wait_ms

    def _on_checkin(self, connection, record):
        if connection is None or time.monotonic() < self._next:
            return
        self._next = time.monotonic() + self._pause
        try:
            if not self._host.is_idle(connection):
                return  # reset_on_return is off: the transaction is the application's
            try:
                _run(connection, self._host.report, self.numbers())
            finally:
                connection.rollback()
            self._pause = self._every
        except Exception as error:  # pylint: disable=broad-except
            self._pause = min(max(self._pause, 1.0) * 2, LONGEST_PAUSE_S)
            self._next = time.monotonic() + self._pause
            log.warning("the pool was not reported, next attempt in %.0f s: %s", self._pause, error)
            _leave_out_if_broken(self._host, connection, record)


class _Tagger:
    def __init__(self, engine, host, current):
        self._host, self._current = host, current
        self._next = 0.0
        self._pause = 1.0
        event.listen(engine, "begin", self._on_begin)
        event.listen(engine, "before_cursor_execute", self._on_execute)
        event.listen(engine, "checkin", self._on_checkin)

    def _name(self):
        name = self._current()
        if not name:
            return None
        return str(name).replace("\0", " ").encode("ascii", "backslashreplace").decode()[:ENDPOINT_BYTES]

    def _on_begin(self, connection):
        self._tag(connection, is_begin=True)

    def _on_execute(self, connection, *_):
        self._tag(connection, is_begin=False)

    def _tag(self, connection, is_begin):
        try:
            raw = connection.connection.dbapi_connection
            name = self._name()
            if self._host.lasts(raw):
                if connection.info.get(TAGGED) != name and time.monotonic() >= self._next:
                    self._host.tag(raw, name, False)
                    connection.info[TAGGED] = name
            elif name and (is_begin or not connection.in_transaction()) and self._host.can_take(raw):
                if time.monotonic() >= self._next:
                    self._host.tag(raw, name, True)
        except Exception as error:  # pylint: disable=broad-except
            self._fail(error)

    def _on_checkin(self, connection, record):
        if connection is None or not record.info.get(TAGGED):
            return
        try:
            was_idle = self._host.is_idle(connection)
            self._host.tag(connection, None, False)
            record.info.pop(TAGGED)
            if was_idle:
                connection.commit()
        except Exception as error:  # pylint: disable=broad-except
            self._fail(error)
            record.invalidate()

    def _fail(self, error):
        self._next = time.monotonic() + self._pause
        log.warning("no endpoint was set, next attempt in %.0f s: %s", self._pause, error)
        self._pause = min(self._pause * 2, LONGEST_PAUSE_S)


def _leave_out_if_broken(host, connection, record):
    """A connection that is closed, or whose transaction would not end, must not go back into the pool."""
    try:
        is_sound = host.is_idle(connection) and not getattr(connection, "closed", 0)
    except Exception:  # pylint: disable=broad-except
        is_sound = False
    if not is_sound:
        record.invalidate()

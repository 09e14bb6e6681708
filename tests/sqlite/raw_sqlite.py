"""The C interface of the library that python itself uses, for what its module hides: flags of an
opening, single steps, and what one thread may do to another's connection."""
import ctypes

LIBRARY = ctypes.CDLL("libsqlite3.so.0")
P, I, S = ctypes.c_void_p, ctypes.c_int, ctypes.c_char_p
for name, result, arguments in (("open_v2", I, (S, ctypes.POINTER(P), I, S)),
                                ("prepare_v2", I, (P, S, I, ctypes.POINTER(P), P)),
                                ("step", I, (P,)), ("reset", I, (P,)), ("finalize", I, (P,)),
                                ("column_int", I, (P, I)), ("close_v2", I, (P,)),
                                ("exec", I, (P, S, P, P, P)), ("get_autocommit", I, (P,)),
                                ("busy_timeout", I, (P, I))):
    function = getattr(LIBRARY, "sqlite3_" + name)
    function.restype, function.argtypes = result, arguments

OK, ERROR, BUSY, INTERRUPT, ROW, DONE = 0, 1, 5, 9, 100, 101
READWRITE, NOMUTEX, FULLMUTEX = 2, 0x8000, 0x10000


class Raw:
    """One connection; every method returns SQLite's own code."""

    def __init__(self, path, flags=FULLMUTEX):
        self.db = P()
        assert LIBRARY.sqlite3_open_v2(path.encode(), ctypes.byref(self.db), READWRITE | flags,
                                       None) == OK
        LIBRARY.sqlite3_busy_timeout(self.db, 5000)

    def run(self, sql):
        return LIBRARY.sqlite3_exec(self.db, sql.encode(), None, None, None)

    def prepare(self, sql):
        stmt = P()
        assert LIBRARY.sqlite3_prepare_v2(self.db, sql.encode(), -1, ctypes.byref(stmt), None) == OK
        return stmt

    step = staticmethod(LIBRARY.sqlite3_step)
    reset = staticmethod(LIBRARY.sqlite3_reset)
    finalize = staticmethod(LIBRARY.sqlite3_finalize)

    @staticmethod
    def number(stmt):
        return LIBRARY.sqlite3_column_int(stmt, 0)

    def is_in_transaction(self):
        return LIBRARY.sqlite3_get_autocommit(self.db) == 0

    def close(self):
        LIBRARY.sqlite3_close_v2(self.db)

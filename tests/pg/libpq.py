"""libpq itself, result by result: psycopg2 and PQexec show the last error of a connection that was ended, and the
SQLSTATE stands in the first."""
import ctypes
import ctypes.util

LIBRARY = ctypes.CDLL(ctypes.util.find_library("pq") or "libpq.so.5")
for name, result, arguments in (
        ("PQconnectdb", ctypes.c_void_p, [ctypes.c_char_p]), ("PQstatus", ctypes.c_int, [ctypes.c_void_p]),
        ("PQsendQuery", ctypes.c_int, [ctypes.c_void_p, ctypes.c_char_p]),
        ("PQgetResult", ctypes.c_void_p, [ctypes.c_void_p]), ("PQclear", None, [ctypes.c_void_p]),
        ("PQfinish", None, [ctypes.c_void_p]), ("PQsocket", ctypes.c_int, [ctypes.c_void_p]),
        ("PQbackendPID", ctypes.c_int, [ctypes.c_void_p]), ("PQerrorMessage", ctypes.c_char_p, [ctypes.c_void_p]),
        ("PQresultStatus", ctypes.c_int, [ctypes.c_void_p]),
        ("PQgetvalue", ctypes.c_char_p, [ctypes.c_void_p, ctypes.c_int, ctypes.c_int]),
        ("PQresultErrorField", ctypes.c_char_p, [ctypes.c_void_p, ctypes.c_int])):
    getattr(LIBRARY, name).restype, getattr(LIBRARY, name).argtypes = result, arguments
LISTENER = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_char_p)
LIBRARY.PQsetNoticeProcessor.argtypes = [ctypes.c_void_p, LISTENER, ctypes.c_void_p]
DEAF = LISTENER(lambda _, text: None)  # libpq would write to stderr
SQLSTATE, MESSAGE, HINT = ord("C"), ord("M"), ord("H")


class Connection:
    def __init__(self, **options):
        self.at = LIBRARY.PQconnectdb(" ".join(f"{k}='{v}'" for k, v in options.items()).encode())
        if LIBRARY.PQstatus(self.at) != 0:
            raise RuntimeError(LIBRARY.PQerrorMessage(self.at).decode())
        LIBRARY.PQsetNoticeProcessor(self.at, DEAF, None)
        self.pid = LIBRARY.PQbackendPID(self.at)
        self.socket = LIBRARY.PQsocket(self.at)

    def send(self, sql):
        return LIBRARY.PQsendQuery(self.at, sql.encode()) == 1

    def results(self):
        """Of what was sent: (SQLSTATE, message, hint) of each error, None for what went well."""
        found = []
        while True:
            result = LIBRARY.PQgetResult(self.at)
            if not result:
                return found
            fields = [LIBRARY.PQresultErrorField(result, field) for field in (SQLSTATE, MESSAGE, HINT)]
            is_error = LIBRARY.PQresultStatus(result) == 7
            found.append(tuple((field or b"").decode() for field in fields) if is_error else None)
            LIBRARY.PQclear(result)

    def run(self, sql):
        if not self.send(sql):
            return [("", LIBRARY.PQerrorMessage(self.at).decode(), "")]
        return self.results()

    def close(self):
        if self.at:
            LIBRARY.PQfinish(self.at)
            self.at = None

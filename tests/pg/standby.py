"""A hot standby of the throw-away cluster, for tests that readers work and write nothing there."""
import os
import pathlib
import pwd
import shutil
import subprocess
import time

from host import connect

PORT = 5439


class Standby:
    """`with Standby() as standby: standby.connect(...)`. Lives inside the cluster's own folder."""

    def __init__(self):
        self.primary = pathlib.Path(os.environ["UPKEEP_PGDATA"])
        self.data = self.primary.parent / "standby"
        config = os.environ.get("PG_CONFIG", "pg_config")
        self.bindir = subprocess.run([config, "--bindir"], check=True, capture_output=True,
                                     text=True).stdout.strip()
        owner = pwd.getpwuid(self.primary.stat().st_uid)
        self.as_server = [] if os.getuid() == owner.pw_uid else [
            "setpriv", f"--reuid={owner.pw_uid}", f"--regid={owner.pw_gid}", "--clear-groups"]

    def run(self, program, *arguments):
        subprocess.run([*self.as_server, f"{self.bindir}/{program}", *arguments], check=True,
                       stdout=subprocess.DEVNULL, cwd="/")

    def __enter__(self):
        self.run("pg_basebackup", "-D", str(self.data), "-R", "-X", "stream", "-c", "fast",
                 "--no-sync", "-h", os.environ["PGHOST"], "-U", "postgres")
        self.run("pg_ctl", "-D", str(self.data), "-l", str(self.data / "log"), "-o", f"-p {PORT}",
                 "-w", "-t", "60", "start")
        return self

    def __exit__(self, *_):
        self.run("pg_ctl", "-D", str(self.data), "-m", "immediate", "-w", "stop")
        shutil.rmtree(self.data, ignore_errors=True)

    def connect(self, database, **options):
        return connect(database, port=PORT, **options)

    def catch_up(self, primary):
        """Waits until everything that `primary` wrote is replayed."""
        with primary.cursor() as cursor:
            cursor.execute("SELECT pg_current_wal_lsn()")
            wanted = cursor.fetchone()[0]
        with self.connect("postgres").cursor() as cursor:
            for _ in range(300):
                cursor.execute("SELECT pg_last_wal_replay_lsn() >= %s::pg_lsn", (wanted,))
                if cursor.fetchone()[0]:
                    return
                time.sleep(0.1)
        raise AssertionError("the standby did not catch up in 30 s")

"""The throw-away cluster's own server process: stopped, started, killed, its files, its log."""
import os
import pathlib
import pwd
import signal
import subprocess
import time

import psycopg2

from host import connect


class Server:
    def __init__(self):
        self.data = pathlib.Path(os.environ["UPKEEP_PGDATA"])
        self.log = self.data.parent / "log"
        self.saved = self.data / "pg_stat" / "upkeep.stat"
        config = os.environ.get("PG_CONFIG", "pg_config")
        self.bindir = subprocess.run([config, "--bindir"], check=True, capture_output=True,
                                     text=True).stdout.strip()
        self.owner = pwd.getpwuid(self.data.stat().st_uid)
        self.as_server = [] if os.getuid() == self.owner.pw_uid else [
            "setpriv", f"--reuid={self.owner.pw_uid}", f"--regid={self.owner.pw_gid}", "--clear-groups"]

    def pg_ctl(self, *arguments):
        subprocess.run([*self.as_server, f"{self.bindir}/pg_ctl", "-D", str(self.data), "-w", "-t", "60",
                        *arguments], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, cwd="/")

    def start(self, *options):
        self.pg_ctl("-l", str(self.log), *(("-o", " ".join(options)) if options else ()), "start")

    def stop(self, mode="fast"):
        self.pg_ctl("-m", mode, "stop")

    def restart(self, *options, mode="fast"):
        self.stop(mode)
        self.start(*options)

    def pid(self):
        return int((self.data / "postmaster.pid").read_text().split()[0])

    def kill(self):
        """kill -9 of the postmaster; returns when all its backends are gone as well."""
        pid = self.pid()
        children = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True,
                                  text=True).stdout.split()
        os.kill(pid, signal.SIGKILL)
        for _ in range(600):
            if not any(os.path.exists(f"/proc/{child}") for child in [pid, *children]):
                return
            time.sleep(0.1)
        raise AssertionError("backends outlive their postmaster")

    def put(self, content):
        """Leaves a file of saved statistics for the next start, as the server would."""
        self.saved.write_bytes(content)
        os.chown(self.saved, self.owner.pw_uid, self.owner.pw_gid)

    def log_size(self):
        return self.log.stat().st_size

    def log_lines(self, since, word="captured statistics"):
        with open(self.log, encoding="utf-8", errors="replace") as file:
            file.seek(since)
            return [line.rstrip() for line in file if word in line]

    @staticmethod
    def wait(database="postgres"):
        """A connection, as soon as the server takes one (after a crash)."""
        for _ in range(600):
            try:
                return connect(database)
            except psycopg2.OperationalError:
                time.sleep(0.1)
        raise AssertionError("the server did not come back in 60 s")

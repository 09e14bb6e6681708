"""What may go wrong around captured statistics: statements run all the same, nothing but statistics is
lost, and exactly one line of the log says so."""
# cluster: shared_preload_libraries=upkeep_preload
# cluster: restart_after_crash=on
import os
import shutil
import signal
import subprocess
import threading
import time
import unittest

import psycopg2

from host import Asks, connect
from server import Server


class Faults(Asks):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.server = Server()
        cls.run_on(cls.db, "CREATE TABLE kept(id int PRIMARY KEY)")

    def setUp(self):
        if not (self.server.data / "postmaster.pid").exists():
            self.server.start()  # the test before failed with the server down
        self.reconnect()

    def tearDown(self):
        self.assertEqual(self.value("SELECT count(*) FROM kept"), 0, "no fault touches the user's data")

    def reconnect(self):
        type(self).db = Server.wait(self.database)

    def count(self):
        return self.value("SELECT coalesce(sum(calls), 0)::int FROM upkeep.statements WHERE tables = '{kept}'")

    def workload(self, statements=40):
        with connect(self.database).cursor() as cursor:
            for i in range(statements):
                cursor.execute(f"SELECT id{' + id' * i} FROM kept")

    def captures_anew(self):
        """Capture works in the server as it is now."""
        before = self.count()
        self.workload(3)
        self.assertEqual(self.count(), before + 3)

    def save_file(self, statements=40):
        """A file as a clean end of the server leaves it; the server is down afterwards."""
        self.rows("SELECT upkeep.reset_statements()")
        self.workload(statements)
        self.db.close()
        self.server.stop()
        return self.server.saved.read_bytes()

    def start_with(self, content=None):
        """Starts the server, which finds this file; the lines of its log about statistics."""
        if content is not None:
            self.server.put(content)
        since = self.server.log_size()
        self.server.start()
        self.reconnect()
        return self.server.log_lines(since)

    def stop(self):
        self.db.close()
        self.server.stop()

    def assert_one(self, lines, *words):
        self.assertEqual(len(lines), 1, lines)
        for word in words:
            self.assertIn(word, lines[0])

    # processes

    def test_kill_9_of_a_backend_in_the_middle(self):
        self.workload()
        stop = threading.Event()
        ended = []

        def run(number):
            try:
                with connect(self.database).cursor() as cursor:
                    while not stop.is_set():
                        cursor.execute(f"SELECT id{' + id' * (number * 5)}, {number} FROM kept WHERE id = 1")
            except psycopg2.Error as error:
                ended.append(error)

        threads = [threading.Thread(target=run, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        time.sleep(0.5)
        victim = self.value("SELECT pid FROM pg_stat_activity WHERE query LIKE 'SELECT id%%FROM kept WHERE%%' LIMIT 1")
        since = self.server.log_size()
        os.kill(victim, signal.SIGKILL)
        for thread in threads:
            thread.join(30)
        stop.set()
        self.assertEqual(len(ended), 4)
        self.reconnect()
        self.assertEqual(self.count(), 0, "shared memory is new")
        self.captures_anew()
        self.assert_one(self.server.log_lines(since), "start anew", "after a crash")
        self.assertIn("after a crash", self.value(
            "SELECT reason FROM upkeep.capabilities WHERE feature = 'saved_statistics'"))

    def test_kill_9_of_a_backend_does_not_bring_back_what_was_saved(self):
        self.save_file()
        self.assertEqual(self.start_with(), [])
        self.assertEqual(self.count(), 40)
        pid = self.value("SELECT pg_backend_pid()")
        os.kill(pid, signal.SIGKILL)
        time.sleep(0.2)
        self.reconnect()
        self.assertEqual(self.count(), 0)
        self.captures_anew()

    def test_kill_9_of_the_postmaster(self):
        self.save_file()
        self.assertEqual(self.start_with(), [])
        self.server.kill()
        lines = self.start_with()
        self.assert_one(lines, "start anew", "not shut down in order")
        self.assertEqual(self.count(), 0)
        self.captures_anew()

    # disks and folders

    def test_full_disk_at_save(self):
        """As a full disk, but of the postmaster alone: a limit of its files, above the log, below ours."""
        self.rows("SELECT upkeep.reset_statements()")
        with connect(self.database).cursor() as cursor:
            for i in range(300):
                cursor.execute(f"SELECT {', '.join(['id'] * (400 + i))} FROM kept")
        limit = self.server.log_size() + 100_000
        postmaster = self.server.pid()
        self.db.close()
        subprocess.run([*self.server.as_server, "prlimit", f"--fsize={limit}", "--pid", str(postmaster)], check=True)
        since = self.server.log_size()
        self.server.stop()
        self.assert_one(self.server.log_lines(since), "were not saved", "File too large")
        self.assertEqual([path.name for path in self.server.saved.parent.iterdir() if "upkeep" in path.name], [])
        self.assertEqual(self.start_with(), [], "it ended in order: what is missing was told then")
        self.captures_anew()

    def test_a_really_full_disk_at_save(self):
        if os.getuid() != 0 or not self.mount("size=64k"):
            self.skipTest("a small file system needs the right to mount one")
        try:
            self.rows("SELECT upkeep.reset_statements()")
            with connect(self.database).cursor() as cursor:
                for i in range(200):
                    cursor.execute(f"SELECT {', '.join(['id'] * (400 + i))} FROM kept")
            since = self.server.log_size()
            self.stop()
            self.assert_one(self.server.log_lines(since), "were not saved", "No space left on device")
            self.assertFalse((self.server.saved.parent / "upkeep.stat.tmp").exists())
        finally:
            os.system(f"umount {self.server.saved.parent}")
        self.start_with()
        self.captures_anew()

    def mount(self, options):
        folder, owner = self.server.saved.parent, self.server.owner
        return os.system(f"mount -t tmpfs -o {options},uid={owner.pw_uid},gid={owner.pw_gid},mode=700"
                         f" tmpfs {folder} 2>/dev/null") == 0

    def test_a_read_only_folder(self):
        self.save_file()
        folder = self.server.saved.parent
        if not self.as_server_cannot_write(folder):
            self.skipTest("this server may write everywhere")
        try:
            lines = self.start_with()
            self.assert_one(lines, "were not loaded", "ermission denied")
            self.captures_anew()
            since = self.server.log_size()
            self.stop()
            self.assert_one(self.server.log_lines(since), "were not saved", "ermission denied")
        finally:
            folder.chmod(0o700)
        self.assertEqual(self.start_with(), [], "the older file can be read now")
        self.assertEqual(self.count(), 40)

    def as_server_cannot_write(self, folder):
        folder.chmod(0o500)
        return self.server.owner.pw_uid != 0

    def test_a_folder_in_its_place(self):
        self.save_file()
        self.server.saved.unlink()
        self.server.saved.mkdir()
        os.chown(self.server.saved, self.server.owner.pw_uid, self.server.owner.pw_gid)
        try:
            self.assert_one(self.start_with(), "were not loaded", "directory")
            self.captures_anew()
            since = self.server.log_size()
            self.stop()
            self.assert_one(self.server.log_lines(since), "were not saved", "directory")
        finally:
            shutil.rmtree(self.server.saved, ignore_errors=True)
        self.start_with()
        self.captures_anew()

    def test_a_pipe_in_its_place(self):
        self.save_file()
        self.server.saved.unlink()
        os.mkfifo(self.server.saved)
        os.chown(self.server.saved, self.server.owner.pw_uid, self.server.owner.pw_gid)
        self.assert_one(self.start_with(), "were not all loaded")
        self.captures_anew()

    # content

    def test_a_file_that_ends_early(self):
        """At many lengths; every one of them is tried in saved_file_test.cpp."""
        content = self.save_file()
        for length in (0, 1, 11, 12, 13, 24, 60, len(content) // 4, len(content) // 2, len(content) - 20,
                       len(content) - 1):
            with self.subTest(length=length):
                self.assert_one(self.start_with(content[:length]), "were not all loaded", "ends early")
                self.assertIn(self.count(), (0, 40))
                self.captures_anew()
                self.stop()
        self.assertEqual(self.start_with(content), [])
        self.assertEqual(self.count(), 40)

    def test_a_file_with_an_altered_byte(self):
        """In every region; every byte is tried in saved_file_test.cpp."""
        content = self.save_file()
        for at in (0, 7, 8, 13, 17, 21, 26, 45, len(content) // 4, len(content) // 2, 3 * len(content) // 4,
                   len(content) - 14, len(content) - 1):
            altered = bytearray(content)
            altered[at] ^= 0x15
            with self.subTest(at=at):
                self.assert_one(self.start_with(bytes(altered)), "were not all loaded", "upkeep.stat")
                self.assertIn(self.count(), (0, 40))
                self.captures_anew()
                self.stop()
        self.start_with()

    def test_files_that_are_none_of_ours(self):
        content = self.save_file(3)
        for other, words in ((content[:8] + b"\x02\0\0\0" + content[12:], "has format 2"),
                             (b"SQLite format 3\0" + bytes(4000), "not a file of saved statistics"),
                             (os.urandom(300_000), "not a file of saved statistics"),
                             (content[:12] + os.urandom(300_000), "damaged at byte 12"),
                             (content + b"more", "goes on after its end")):
            with self.subTest(words=words):
                self.assert_one(self.start_with(other), "were not all loaded", words)
                self.captures_anew()
                self.stop()
        self.start_with()


if __name__ == "__main__":
    unittest.main()

"""The listeners and a reaped pool on a server that does not preload upkeep: reports are not kept, sessions end by 57P01."""
import unittest

from sqlalchemy import text

from test_postgres import Application, ReapTest as PreloadedReapTest, listeners


class ReportTest(Application):
    def test_nothing_is_kept_and_nothing_fails(self):
        engine = self.engine(pool_size=2)
        listeners.report_pool(engine, every=0)
        for number in range(5):
            with engine.begin() as connection:
                self.assertEqual(connection.execute(text(f"SELECT {number}")).scalar(), number)
        self.assertEqual((self.pool(), self.messages.texts), ([], []))


class ReapTest(PreloadedReapTest):
    # Best effort: a command that is sent in the very moment may be lost, so nothing is asserted of that.
    test_reaped_all_the_time_while_it_works = None


del PreloadedReapTest

if __name__ == "__main__":
    unittest.main()

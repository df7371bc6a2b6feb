"""The process's own log."""

import json
import subprocess
import sys

PROGRAM = """
import json, sys, structlog
from streambank.cli import logs

class Writes(list):
    def write(self, text):
        self.append(text)
    def flush(self):
        pass
    def isatty(self):
        return False

logs.configure()
sys.stderr = writes = Writes()
for number in range(2):
    structlog.get_logger().info("told", number=number)
print(json.dumps(writes))
"""


def test_a_line_is_one_write_so_that_lines_of_several_processes_stay_apart() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    writes = json.loads(done.stdout)
    assert [json.loads(line)["number"] for line in writes] == [0, 1]
    assert all(line.endswith("}\n") for line in writes)

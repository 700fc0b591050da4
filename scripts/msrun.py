"""msrun that shows rank 0's output, says why a job failed, and leaves no process behind.

python scripts/msrun.py --log_dir=NEW_FOLDER [msrun's other options] train.py [its options]

SIGINT and SIGTERM reach every rank as SIGTERM, and ranks then have GRACE seconds to end; a second one kills at once.
The exit code is 0 if every rank's is, else that of the rank that failed (128 + N where signal N killed it).
"""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil  # comes with MindSpore, whose msrun needs it

GRACE = 30.0  # seconds that ranks have to end after a signal
LINGER = 3.0  # and the scheduler after the last rank: it would wait half a minute for the heartbeat of a dead one
POLL = 0.2
LAST_LINES = 20  # of a failed rank's log
ERROR = "error: "  # how the one line begins that says what a user can mend
FAILURE = re.compile(r"Worker process (\d+) exit with exception\. Error code: (-?\d+)")  # msrun's words


class Job:
    """One msrun: its scheduler, its ranks, and what these start."""

    def __init__(self, words: list[str], log_dir: Path) -> None:
        self.log_dir, self.log = log_dir, log_dir / "msrun.log"
        folder = Path(sys.executable).parent
        environment = {**os.environ, "PATH": os.pathsep.join([str(folder), os.environ.get("PATH", os.defpath)])}
        if environment.get("GLOG_v") == "4":  # too quiet: FAILURE is read from what msrun logs
            environment["GLOG_v"] = "3"
        with open(self.log, "w", encoding="utf-8") as log:
            self.msrun = psutil.Popen(
                [sys.executable, "-m", "mindspore.parallel.cluster.run", *words],
                env=environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                # A terminal's Ctrl-C reaches its whole session; msrun would kill the ranks before they can save.
                start_new_session=True,
            )
        self.family: set[psutil.Process] = set()  # all that msrun started, dead or alive
        self.ranks: dict[int, int] = {}  # process number -> rank, of those that lived long enough to be asked
        self.told: set[psutil.Process] = set()  # what was sent a signal
        self.released = False  # had the scheduler to be killed after the last rank?

    def look(self) -> None:
        """Note new processes: nothing tells whose they were once msrun is dead."""
        try:
            self.family.update(self.msrun.children(recursive=True))
        except psutil.NoSuchProcess:
            return
        for process in self.workers():
            try:
                environment = process.environ()
            except psutil.Error:  # it has just ended
                continue
            if "MS_NODE_ID" in environment:  # not yet between fork and exec
                self.ranks.setdefault(process.pid, int(environment["MS_NODE_ID"]))

    def workers(self) -> list[psutil.Process]:
        """The ranks that are alive. Each leads a session of its own; the scheduler is in msrun's."""
        return [process for process in self.alive() if session(process) == process.pid]

    def alive(self) -> list[psutil.Process]:
        return [process for process in self.family if is_alive(process)]

    def stop_workers(self) -> None:
        """SIGTERM for every rank that has not had one; SIGINT is MindSpore's, whose handler stops its network only."""
        for process in self.workers():
            if process not in self.told:
                self.told.add(process)
                process.terminate()

    def kill(self, *processes: psutil.Process) -> None:
        for process in processes:
            if is_alive(process):
                process.kill()
        psutil.wait_procs(processes, timeout=GRACE)

    def kill_all(self) -> None:
        self.kill(self.msrun)  # first, or it might start more
        self.kill(*self.family)

    def release(self) -> None:
        """Every rank has ended: let msrun end too, which waits for its scheduler."""
        scheduler = self.alive()
        self.released = self.released or bool(scheduler)
        self.kill(*scheduler)

    def failure(self) -> tuple[int | None, int] | None:
        """Rank and exit code (-N: signal N) of the one that msrun saw fail first."""
        found = FAILURE.search(self.log.read_text(encoding="utf-8", errors="replace"))
        return found and (self.ranks.get(int(found[1])), int(found[2]))


class Follower:
    """Prints what is added to a file, by whole lines. `ERROR` lines wait for `explain`."""

    def __init__(self, path: Path) -> None:
        self.path, self.place = path, 0

    def print_new(self) -> None:
        if not self.path.is_file():
            return
        with open(self.path, "rb") as file:
            file.seek(self.place)
            new = file.read()
        new = new[: new.rfind(b"\n") + 1]
        self.place += len(new)
        lines = new.decode(errors="replace").splitlines()
        for line in lines:
            if not line.startswith(ERROR):
                print(line, flush=True)


def session(process: psutil.Process) -> int | None:
    try:
        return os.getsid(process.pid)
    except ProcessLookupError:
        return None


def is_alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def run(words: list[str], log_dir: Path) -> int:
    """Start the job, stay with it to its end, and return the exit code."""
    signals: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, _: signals.append(number))
    job = Job(words, log_dir)
    output = Follower(log_dir / "worker_0.log")
    try:
        watch(job, output, signals)
    finally:  # whatever happens here, say to whoever reads our output
        job.kill_all()
    output.print_new()
    return explain(job, signals)


def watch(job: Job, output: Follower, signals: list[int]) -> None:
    """Stay until msrun has ended, which it does soon after the first rank that fails, or after the last."""
    deadline = idle = None
    while is_alive(job.msrun):
        time.sleep(POLL)
        now = time.monotonic()
        job.look()
        output.print_new()
        if job.workers() or not job.family:
            idle = None
        else:
            idle = idle or now
            if now - idle > LINGER:
                job.release()
        if signals:
            job.stop_workers()
            deadline = deadline or now + GRACE
            if len(signals) > 1 or now > deadline or not job.ranks:
                job.kill_all()


def explain(job: Job, signals: list[int]) -> int:
    """Say how the job ended, and return the exit code."""
    status, failure = job.msrun.wait(), job.failure()
    if failure is None and (status == 0 or job.released):  # msrun calls a scheduler that was killed a failure
        return 0
    if signals:
        print(f"stopped by {signal.Signals(signals[0]).name}; logs: {job.log_dir}", file=sys.stderr)
        return 128 + signals[0]

    rank, code = failure or (None, status)
    if rank is None:  # it ended too soon to be asked which one it was
        logs = [*sorted(job.log_dir.glob("worker_*.log")), job.log]
    else:
        logs = [job.log_dir / f"worker_{rank}.log"]
    lines = [line for log in logs for line in log.read_text(encoding="utf-8", errors="replace").splitlines()]
    errors = [line for line in lines if line.startswith(ERROR)]
    if code > 0 and errors:
        print(errors[-1], file=sys.stderr)
        return code
    if rank != 0:  # whose log has been shown
        print(f"The last lines of {logs[-1]}:", *lines[-LAST_LINES:], sep="\n  ", file=sys.stderr)
    who = "a rank" if rank is None else f"rank {rank}"
    how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
    print(f"{ERROR}{who} {how}, so the job was stopped; logs: {job.log_dir}", file=sys.stderr)
    return code if code > 0 else 128 - code


def main(words: list[str]) -> int:
    log_dir = next((word.partition("=")[2] for word in words if word.startswith("--log_dir=")), None)
    script = next((i for i, word in enumerate(words) if not word.startswith("--")), None)
    if not log_dir or script is None:
        print(__doc__, file=sys.stderr)
        return 2
    # msrun starts ranks with the `python` or `python3` of PATH, which has to be the one that runs this.
    names = [name for name in ("python", "python3") if is_this_python(Path(sys.executable).with_name(name))]
    if not names:
        print(f"{ERROR}msrun needs a `python` beside {sys.executable}; make an environment with venv", file=sys.stderr)
        return 2
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    try:
        Path(log_dir).mkdir(parents=True)
    except OSError as error:
        print(f"{ERROR}{error.filename}: {error.strerror}", file=sys.stderr)
        return 2
    print(f"Logs of all ranks: {log_dir}/worker_N.log; rank 0 says:", flush=True)
    return run([f"--master_port={port}", *words[:script], names[0], *words[script:]], Path(log_dir))


def is_this_python(path: Path) -> bool:
    return path.exists() and path.samefile(sys.executable)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""msrun that shows rank 0's output, says why a job failed, and leaves no process behind.

python scripts/msrun.py --log_dir=NEW_FOLDER [msrun's other options] train.py [its options]

SIGINT and SIGTERM reach every rank as SIGTERM, and ranks then have GRACE seconds to end; a second one kills at once.
The exit code is 0 if every rank's is, else that of the rank that failed (128 + N where signal N killed it).

What msrun (MindSpore 2.10) does is left to it: it starts scheduler and ranks, writes their logs, binds them to cores,
and kills the ranks when one fails. It does not name the rank that failed, let ranks save on a signal, show a log to its
last line, keep the logs of an earlier job, find a free port, or see that another host is gone; and when it is killed,
its ranks go on. That is done here.

Several hosts: one launcher on each, with msrun's --node_rank, --master_addr and --master_port. They are connected
through the port after --master_port, so that the job ends on all hosts where one fails or is gone.
"""

import contextlib
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
WAIT = 600.0  # for host 0's launcher; msrun waits as long for ranks
KEEPALIVE = {"TCP_KEEPIDLE": 10, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 4}  # a host that does not answer is gone after 30 s
LAST_LINES = 20  # of a failed rank's log
ERROR = "error: "  # how the one line begins that says what a user can mend
FAILURE = re.compile(r"Worker process (\d+) exit with exception\. Error code: (-?\d+)")  # msrun's words
MSRUN = ["-m", "mindspore.parallel.cluster.run"]
# It starts a scheduler wherever --master_addr is an address of the machine: two schedulers for two hosts on a loopback.
MSRUN_OF_A_HOST = """
from mindspore.parallel.cluster import run
args = run.get_args()
manager = run._ProcessManager(args)
manager.is_master = args.node_rank == 0
manager.run()
"""


class Job:
    """One msrun: its scheduler, its ranks, and what these start."""

    def __init__(self, words: list[str], log_dir: Path, shown: int) -> None:
        """shown: the rank whose output the user has seen when `explain` is called."""
        self.log_dir, self.log, self.shown = log_dir, log_dir / "msrun.log", shown
        folder = Path(sys.executable).parent
        environment = {**os.environ, "PATH": os.pathsep.join([str(folder), os.environ.get("PATH", os.defpath)])}
        if environment.get("GLOG_v") == "4":  # too quiet: FAILURE is read from what msrun logs
            environment["GLOG_v"] = "3"
        with open(self.log, "w", encoding="utf-8") as log:
            self.msrun = psutil.Popen(
                [sys.executable, *words],
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


class Hosts:
    """The launchers of the job's other hosts, and whether one of them has failed. Host 0 is connected to every other.

    MindSpore's heartbeat would not do. 30 s after a host has died it sends the ranks SIGTERM, which asks train.py to
    save; a rank that waits in NCCL or HCCL for a dead one never gets to that.

    A launcher sends a greeting, and its exit code when it ends. One that ends without has been killed.
    """

    SAYS = re.compile(rb"host (\d+) of a job of (\d+) ranks\n(?:exit code (\d+)\n)?")

    def __init__(self, host: int, ranks: int) -> None:
        """This is number `host`, and there are so many ranks on all."""
        self.ranks, self.greeting = ranks, f"host {host} of a job of {ranks} ranks\n".encode()
        self.awaited = 0
        self.come: set[int] = set()  # hosts that have greeted
        self.received: dict[socket.socket, bytes] = {}  # of each connection
        self.lost: tuple[str, int] | None = None  # what became of the first host that failed, and our exit code then

    def listen(self, address: str, port: int, others: int) -> None:
        """Let so many other launchers connect. `port` is msrun's. Raises OSError."""
        family, _, _, _, found = socket.getaddrinfo(address, port, type=socket.SOCK_STREAM)[0]
        # Is msrun's port free? If not, its scheduler cannot start, and the ranks would wait for it for ten minutes.
        socket.create_server((found[0], port), family=family).close()
        self.listener = socket.create_server((found[0], port + 1), family=family)
        self.listener.setblocking(False)
        self.awaited = others
        print(f"Waiting for the other hosts, at {address}:{port + 1}", flush=True)

    def connect(self, address: str, port: int, signals: list[int]) -> None:
        """Wait for host 0's launcher, or for a signal. `port` is msrun's. Raises OSError."""
        deadline = time.monotonic() + WAIT
        print(f"Waiting for host 0, at {address}:{port + 1}", flush=True)
        while not self.come and not signals:
            if time.monotonic() > deadline:
                raise TimeoutError("the launcher of host 0 does not answer")
            if not self.received:
                with contextlib.suppress(ConnectionError, TimeoutError):
                    self.add(socket.create_connection((address, port + 1), timeout=5))
            time.sleep(POLL)
            self.look()

    def add(self, connection: socket.socket) -> None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in KEEPALIVE.items():
            connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
        connection.sendall(self.greeting)
        connection.setblocking(False)
        self.received[connection] = b""

    def look(self) -> None:
        """Note who has come, and who has ended."""
        if len(self.come) < self.awaited:  # a host that is started twice waits outside
            with contextlib.suppress(OSError):  # nobody, or gone again
                self.add(self.listener.accept()[0])
        for connection in list(self.received):
            try:
                new = connection.recv(4096)
            except BlockingIOError:
                continue
            except OSError:
                new = b""
            self.received[connection] += new
            says = self.SAYS.fullmatch(self.received[connection])
            if says:
                host, ranks, code = (word and int(word) for word in says.groups())
                self.come.add(host)
                if ranks != self.ranks:
                    self.lose(f"host {host} counts {ranks} ranks in all, this one {self.ranks}", 2)
                elif code:
                    self.lose(f"host {host} ended with exit code {code}", code)
                elif code is None and not new:
                    self.lose(f"host {host} is gone", 1)
            if not new:
                del self.received[connection]
                connection.close()

    def lose(self, what: str, code: int) -> None:
        self.lost = self.lost or (what, code)

    def running(self) -> bool:
        """Are there other hosts that have not ended?"""
        found = map(self.SAYS.fullmatch, self.received.values())
        return any(says and says[3] is None for says in found)

    def tell(self, code: int) -> None:
        """This host has ended."""
        for connection in self.received:
            with contextlib.suppress(OSError):  # the other has just ended
                connection.sendall(f"exit code {code}\n".encode())

    def verdict(self, signals: list[int]) -> int:
        """The exit code where all ranks of this host have ended well: those of others, too, have to."""
        while self.running() and not self.lost and not signals:
            time.sleep(POLL)
            self.look()
        if not self.lost:
            return 0
        what, code = self.lost
        print(f"{ERROR}{what}; the ranks of this host had ended before", file=sys.stderr)
        return code


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


def run(words: list[str], log_dir: Path, shown: int, hosts: Hosts, signals: list[int]) -> int:
    """Start the job, stay with it to its end, and return the exit code. shown: the rank whose output is printed."""
    try:
        log_dir.mkdir(parents=True)
    except OSError as error:
        print(f"{ERROR}{error.filename}: {error.strerror}", file=sys.stderr)
        return 2
    print(f"Logs of all ranks: {log_dir}/worker_N.log; rank {shown} says:", flush=True)
    job = Job(words, log_dir, shown)
    output = Follower(log_dir / f"worker_{shown}.log")
    try:
        watch(job, output, hosts, signals)
    finally:  # whatever happens here, say to whoever reads our output
        job.kill_all()
    output.print_new()
    return explain(job, hosts, signals)


def watch(job: Job, output: Follower, hosts: Hosts, signals: list[int]) -> None:
    """Stay until msrun has ended, which it does soon after the first rank that fails, or after the last."""
    deadline = idle = None
    while is_alive(job.msrun):
        time.sleep(POLL)
        now = time.monotonic()
        job.look()
        output.print_new()
        failed = job.failure() is not None
        if not failed:  # others then fail because of ours
            hosts.look()
        if hosts.lost:
            job.kill_all()
        # The scheduler serves the ranks of all hosts.
        if job.workers() or not job.family or (hosts.running() and not failed):
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


def explain(job: Job, hosts: Hosts, signals: list[int]) -> int:
    """Say how the job ended, and return the exit code."""
    status, failure = job.msrun.wait(), job.failure()
    well = status == 0 or job.released  # msrun calls a scheduler that was killed a failure
    if well and failure is None and hosts.lost is None:
        return 0
    if signals:
        print(f"stopped by {signal.Signals(signals[0]).name}; logs: {job.log_dir}", file=sys.stderr)
        return 128 + signals[0]
    if hosts.lost:
        what, code = hosts.lost
        print(f"{ERROR}{what}, so the job was stopped; logs of this host: {job.log_dir}", file=sys.stderr)
        return code

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
    if rank != job.shown:
        print(f"The last lines of {logs[-1]}:", *lines[-LAST_LINES:], sep="\n  ", file=sys.stderr)
    who = "a rank" if rank is None else f"rank {rank}"
    how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
    print(f"{ERROR}{who} {how}, so the job was stopped; logs: {job.log_dir}", file=sys.stderr)
    return code if code > 0 else 128 - code


def main(words: list[str]) -> int:
    script = next((i for i, word in enumerate(words) if not word.startswith("--")), None)
    options = dict(word[2:].split("=", 1) for word in words[:script] if "=" in word)
    if script is None or not options.get("log_dir"):
        print(__doc__, file=sys.stderr)
        return 2
    # msrun starts ranks with the `python3` of PATH, which has to be the one that runs this.
    python3 = Path(sys.executable).with_name("python3")
    if not (python3.exists() and python3.samefile(sys.executable)):
        print(f"{ERROR}msrun needs a `python3` beside {sys.executable}; make an environment with venv", file=sys.stderr)
        return 2
    signals: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, _: signals.append(number))

    ranks, here = (int(options.get(name, 8)) for name in ("worker_num", "local_worker_num"))  # 8 is msrun's default
    host = int(options.get("node_rank", 0))
    hosts = Hosts(host, ranks)
    if here == ranks:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            msrun = [*MSRUN, f"--master_port={free.getsockname()[1]}"]
    else:
        msrun, address, port = ["-c", MSRUN_OF_A_HOST], options["master_addr"], int(options["master_port"])
        try:
            if host == 0:
                hosts.listen(address, port, ranks // here - 1)
            else:
                hosts.connect(address, port, signals)
        except OSError as error:
            why = error.strerror or error
            print(f"{ERROR}MASTER_ADDR {address}, ports {port} and {port + 1}: {why}", file=sys.stderr)
            return 2
    words = [*msrun, *words[:script], python3.name, *words[script:]]
    code = run(words, Path(options["log_dir"]), host * here, hosts, signals)
    hosts.tell(code)
    return code or hosts.verdict(signals)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Boot file for ModelArts and OpenI, whose options become those of train.py.

  python scripts/modelarts.py --data_url DATA --train_url RESULT [--ckpt_url START] [--device_num N] [--option value …]

DATA is copied to this machine, train.py runs, and what it wrote is copied to RESULT, also when it fails. A RESULT that
holds a run already is gone on with. START is a folder or file that is copied as well. Every other option is one of
train.py; the words {data} and {start} in it become the local folders:

  --pretrained_vgg {data}/vgg16.ckpt --train_masks_root {data}/masks --init_checkpoint {start}

Without --data_root, {data} is the folder of images. Addresses like obs://... need moxing, which ModelArts has; other
addresses are folders of this machine, which are used where they are. On OpenI, where the package c2net is installed,
the addresses come from it. --device_num N trains on N devices of this machine. Options of the platforms that say
nothing to train.py are dropped. Neither platform has been tried.
"""

import argparse
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

sys.path.insert(0, str(Path(__file__).parents[1]))
from model_utils.config import load_config
from model_utils.entry import stop
from src.errors import InputError
from train import OPTION_GROUPS

ROOT = Path(__file__).parents[1]
CACHE = Path("/cache")  # ModelArts's disk for what does not stay
# What the platforms add by themselves.
DROPPED = (
    "multi_data_url",
    "pretrain_url",
    "model_url",
    "code_url",
    "use_qizhi",
    "use_zhisuan",
    "num_gpus",
    "init_method",
)


def parse(argv: list[str]) -> tuple[argparse.Namespace, list[str]]:
    """-> the platform's options, and the words that are options of train.py"""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.error = lambda message: stop(f"error: {message}", 2)
    parser.add_argument("--data_url", default="", help="images, and what else training reads")
    parser.add_argument("--train_url", default="", help="where the run's folder goes")
    parser.add_argument("--ckpt_url", default="", help="weights to start from")
    parser.add_argument("--device_num", type=int, default=1, help="devices of this machine")
    for name in DROPPED:
        parser.add_argument(f"--{name}", help=argparse.SUPPRESS)
    return parser.parse_known_args(argv)


def is_remote(address: str) -> bool:
    return "://" in address


def fetched(address: str, name: str) -> str:
    """The local folder or file of an address. Raises InputError."""
    if not is_remote(address):
        return address
    local, files = str(CACHE / name / Path(address).name), moxing()
    Path(local).parent.mkdir(parents=True, exist_ok=True)
    (files.copy_parallel if files.is_directory(address) else files.copy)(address, local)
    return local


def moxing() -> ModuleType:
    """Its file module. Raises InputError."""
    if not find_spec("moxing"):
        raise InputError("addresses like obs://... need moxing, which ModelArts has; give a folder of this machine")
    import moxing

    return moxing.file


def from_openi(args: argparse.Namespace) -> None:
    """Fill in what c2net knows, which OpenI has in place of addresses."""
    from c2net.context import prepare

    context = prepare()
    args.data_url = args.data_url or context.dataset_path
    args.train_url = args.train_url or context.output_path
    args.ckpt_url = args.ckpt_url or context.pretrain_model_path


def command(args: argparse.Namespace, options: list[str], folders: dict[str, str], run: Path) -> list[str]:
    """What trains. Raises InputError for options that train.py does not take."""
    for name, folder in folders.items():
        options = [word.replace(f"{{{name}}}", folder) for word in options]
    config = load_config(options, groups=OPTION_GROUPS)
    options += [] if config.given("data_root") else ["--data_root", folders["data"]]
    options += ["--save_path", str(run)]
    options += ["--resume", "true"] if (run / "checkpoints").is_dir() else []
    if args.device_num == 1:
        return [sys.executable, str(ROOT / "train.py"), *options]
    script = ROOT / "scripts" / f"run_distribute_train_{config.device_target.lower()}.sh"
    return ["bash", str(script), str(args.device_num), *options]


def main(argv: list[str]) -> int:
    args, options = parse(argv)
    openi = find_spec("c2net") is not None
    if openi:
        from_openi(args)
    if not args.data_url or not args.train_url:
        raise InputError("--data_url and --train_url are needed: where the images are, and where the run goes")
    remote = is_remote(args.train_url)
    run = CACHE / "run" if remote else Path(args.train_url)
    if remote and moxing().exists(args.train_url):
        moxing().copy_parallel(args.train_url, str(run))
    folders = {"data": fetched(args.data_url, "data"), "start": fetched(args.ckpt_url, "start")}
    words = command(args, options, folders, run)
    print(*words, flush=True)
    try:
        return subprocess.run(words, env=os.environ | {"PYTHON": sys.executable}, check=False).returncode
    finally:
        if remote and run.is_dir():
            moxing().copy_parallel(str(run), args.train_url)
        if openi:
            from c2net.context import upload_output

            upload_output()


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except InputError as error:
        stop(f"error: {error}", 2)

"""The agent's entry point: ``python -m workers``, settings in the environment."""

import os
import signal
import sys

from pydantic import ValidationError

from ffrtmp.config import INSECURE, WorkerSettings
from ffrtmp.logs import log_to_stderr
from ffrtmp.tls import TlsFileError
from workers.agent import Agent, take_signals
from workers.errors import EXIT_FAILED, AgentError, NoEncoder
from workers.ffmpeg.binary import FfmpegMissing, find_ffmpeg
from workers.identity import load_or_create, open_state_folder
from workers.node import measure, places, state_folder
from workers.tracing import start_tracing


def main() -> int:
    """Run an agent until it is told to stop; the exit code."""
    # Until there is something to drain, Ctrl-C simply ends the process.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    log_to_stderr("httpx", "botocore", "boto3", "s3transfer")
    try:
        settings = WorkerSettings.from_environment(os.environ)
        if settings.tls.insecure_skip_tls_verification:
            print(INSECURE, file=sys.stderr)
        return run(settings)
    except ValidationError as error:
        print(f"error: the settings are wrong: {error}", file=sys.stderr)
        return EXIT_FAILED
    except AgentError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code


def run(settings: WorkerSettings) -> int:
    """Run an agent with these settings; AgentError where it cannot work."""
    folder = state_folder(settings)
    try:
        lock = open_state_folder(folder)
        try:
            return _run_locked(settings)
        finally:
            os.close(lock)
    except FfmpegMissing as error:
        raise NoEncoder(str(error)) from error
    except TlsFileError as error:
        raise AgentError(f"{error}; check --ca, --cert and --key") from error
    except OSError as error:
        raise AgentError(f"{type(error).__name__}: {error}") from error


def _run_locked(settings: WorkerSettings) -> int:
    identity = load_or_create(state_folder(settings))
    places(settings).output_folder.mkdir(parents=True, exist_ok=True)
    ffmpeg = find_ffmpeg(settings.ffmpeg)
    agent = Agent(settings, identity=identity, facts=measure(settings, ffmpeg), ffmpeg=ffmpeg)
    take_signals(agent)
    start_tracing(settings.tracing, service_name="ffrtmp-agent")
    return agent.run()


if __name__ == "__main__":
    sys.exit(main())

"""nginx with its RTMP module, as a media server of the field."""

import shutil
import subprocess
from pathlib import Path

from tests.waiting import free_port, wait_until

MODULE = Path("/usr/lib/nginx/modules/ngx_rtmp_module.so")
NGINX = shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/sbin")
IS_HERE = NGINX is not None and MODULE.exists()
_SETTINGS = """
load_module {module};
daemon off; master_process off; pid {folder}/nginx.pid; error_log {folder}/nginx.log;
events {{ worker_connections 64; }}
rtmp {{ server {{
    listen 127.0.0.1:{port}; access_log off;
    application live {{
        live on; publish_notify on; idle_streams off;
        record all; record_path {folder}; record_unique on;
    }}
}} }}
"""


class Nginx:
    """Takes and gives streams at ``url(name)``; what it takes is recorded in ``folder``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._port = free_port()
        (folder / "nginx.conf").write_text(
            _SETTINGS.format(module=MODULE, folder=folder, port=self._port)
        )
        self.start()

    def url(self, name: str) -> str:
        return f"rtmp://127.0.0.1:{self._port}/live/{name}"

    def start(self) -> None:
        """At first, or again."""
        self._process = subprocess.Popen(
            [str(NGINX), "-p", str(self.folder), "-c", str(self.folder / "nginx.conf")],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def kill(self) -> None:
        """Be gone at once."""
        self._process.kill()
        self._process.wait()

    def recordings(self, name: str) -> list[Path]:
        """What came in under a name, the oldest first."""
        found = self.folder.glob(f"{name}-*.flv")
        return sorted(found, key=lambda path: path.stat().st_mtime_ns)

    def has(self, name: str) -> bool:
        """Whether media of that name come in."""
        return any(path.stat().st_size > 8192 for path in self.recordings(name))

    def wait_for(self, name: str) -> None:
        """Return once media of that name come in."""
        wait_until(lambda: self.has(name), what=f"the stream {name}")

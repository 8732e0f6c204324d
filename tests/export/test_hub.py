"""hf://USER/NAME against a stub of the hub's HTTP API: what is pushed is what is fetched."""

import base64
import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import jax
import numpy as np
import pytest

from ssljax import nets
from ssljax.cli.weights import bring_in
from ssljax.export import export, export_transformers, load
from ssljax.export.hub import fetched, push_folder
from ssljax.nets import SmallConv, ViT
from ssljax.runs.load import begin_with


class Stub(BaseHTTPRequestHandler):
    """One repository in memory: creation, upload in a commit, listing, files."""

    files: dict = {}  # noqa: RUF012
    asked: list = []  # noqa: RUF012

    @property
    def commit(self):
        """Another one for other files, as in git."""
        return hashlib.sha1(repr(sorted(self.files.items())).encode()).hexdigest()

    def log_message(self, *_):
        pass

    def answer(self, content, status=200, **headers):
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.asked.append((self.path.split("?")[0], self.headers.get("Authorization")))
        if self.path == "/api/repos/create":
            self.answer({"url": "https://huggingface.co/me/net", "name": json.loads(body)["name"]})
        elif "/preupload/" in self.path:
            each = [{"path": f["path"], "uploadMode": "regular", "shouldIgnore": False}
                    for f in json.loads(body)["files"]]  # fmt: skip
            self.answer({"files": each})
        elif "/commit/" in self.path:
            for line in body.splitlines():
                row = json.loads(line)
                if row["key"] == "file":
                    self.files[row["value"]["path"]] = base64.b64decode(row["value"]["content"])
            url = f"https://huggingface.co/me/net/commit/{self.commit}"
            self.answer({"commitUrl": url, "commitOid": self.commit, "success": True})
        elif self.path == "/api/validate-yaml":  # of the README
            self.answer({"errors": [], "warnings": []})
        else:
            self.answer({"error": "unknown"}, 404)

    def do_GET(self):
        path = self.path.split("?")[0]
        if "/resolve/" in path:
            name = path.split(f"/resolve/{self.commit}/")[-1]
            content = self.files[name]
            etag = hashlib.sha256(content).hexdigest()
            self.answer(content, ETag=f'"{etag}"', X_Repo_Commit=self.commit)
        elif "/tree/" in path:
            self.answer(
                [
                    {"type": "file", "path": n, "size": len(c), "oid": hashlib.sha1(c).hexdigest()}
                    for n, c in self.files.items()
                ]
            )
        elif path.startswith("/api/models/me/net"):
            files = [{"rfilename": name} for name in self.files]
            self.answer(
                {"id": "me/net", "modelId": "me/net", "siblings": files, "sha": self.commit}
            )
        else:
            self.answer({"error": "unknown"}, 404)

    do_HEAD = do_GET


@pytest.fixture
def stub(tmp_path, monkeypatch):
    """The hub that this process talks to, without files."""
    pytest.importorskip("huggingface_hub", reason="an optional extra")
    from huggingface_hub import constants

    server = ThreadingHTTPServer(("127.0.0.1", 0), Stub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("HF_TOKEN", "hf_stub")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(Stub, "files", {})
    yield Stub
    server.shutdown()


def test_what_is_pushed_is_what_is_fetched(tmp_path, stub):
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text('{"model_type": "vit"}')
    (folder / "model.safetensors").write_bytes(bytes(range(256)))
    (folder / "README.md").write_text("# net\n")
    assert push_folder(folder, "hf://me/net", public=False).endswith("/me/net")
    assert all(token == "Bearer hf_stub" for _, token in stub.asked)
    where = fetched("hf://me/net")
    for file in folder.iterdir():
        assert (where / file.name).read_bytes() == file.read_bytes()
    with pytest.raises(OSError, match="cannot be read"):
        fetched("hf://me/other")
    for place in ("hf://me", "me/net", "hf://me/net/more"):
        with pytest.raises(ValueError, match="write hf://USER/NAME"):
            fetched(place)


def equal(found, expected):
    assert jax.tree.structure(found) == jax.tree.structure(expected)
    jax.tree.map(np.testing.assert_array_equal, found, expected)


def test_training_begins_from_the_hub(tmp_path, stub, capsys):
    """What push writes by default, and what it writes for transformers."""
    image = jax.ShapeDtypeStruct((1, 8, 8, 3), np.float32)
    small = SmallConv(widths=(4,))
    shapes = jax.eval_shape(lambda key: nets.init(small, key, image), jax.random.key(0))
    rng = np.random.default_rng(0)
    params, stats = jax.tree.map(lambda a: rng.uniform(size=a.shape).astype(np.float32), shapes)
    sizes = {"image_size": 8, "channels": 3, "mean": (0.5,), "std": (0.5,)}
    arrays = {"encoder": small, "params": params, "stats": stats}
    export(**arrays, **sizes, format="safetensors", out=tmp_path / "a" / "encoder.safetensors")
    push_folder(tmp_path / "a", "hf://me/net", public=False)
    found, its_stats = begin_with("hf://me/net", {"encoder": small})
    equal((found["encoder"], its_stats["encoder"]), (params, stats))
    with pytest.raises(ValueError, match="hf://me/net holds another encoder: widths"):
        begin_with("hf://me/net", {"encoder": SmallConv(widths=(8,))})
    bring_in(["hf://me/net", "--out", str(tmp_path / "b.safetensors")])
    assert "SmallConv(widths=[4]" in capsys.readouterr().out
    equal(load(tmp_path / "b.safetensors", small), (params, stats))

    stub.files.clear()
    vit = ViT(patch=4, width=8, depth=1, heads=2)
    weights, _ = nets.init(vit, jax.random.key(1), image)
    export_transformers(
        tmp_path / "c", networks={"encoder": vit}, params={"encoder": weights}, image_size=8
    )
    push_folder(tmp_path / "c", "hf://me/net", public=False)
    found, _ = begin_with("hf://me/net", {"encoder": vit})
    equal(found["encoder"], jax.device_get(weights))
    stub.files.clear()
    stub.files["README.md"] = b"# net"
    with pytest.raises(ValueError, match="hf://me/net holds no safetensors file"):
        begin_with("hf://me/net", {"encoder": vit})

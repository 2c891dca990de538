"""Who is let in."""

import asyncio
import base64
import hashlib
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from flywheel.components.intake.errors import IntakeError
from flywheel.components.intake.service import authentication, oidc
from flywheel.components.intake.service.authentication import Authenticator, KeyFile
from flywheel.components.intake.service.oidc import TokenVerifier
from flywheel.components.intake.service.refusals import Denied
from flywheel.components.intake.service.settings import Settings

AUDIENCE = "flywheel-intake"


def digest(key):
    return hashlib.sha256(key.encode()).hexdigest()


def ask(door, headers, route="feedback"):
    return asyncio.run(door.sender(headers, route))


def refused(door, headers, route="feedback"):
    with pytest.raises(Denied) as caught:
        ask(door, headers, route)
    return caught.value.status, caught.value.reason


# keys -----------------------------------------------------------------------------------------------------------------


def keys(tmp_path, document):
    path = tmp_path / "keys.json"
    path.write_text(json.dumps(document))
    return KeyFile(str(path))


def basic(user, key):
    return {"authorization": "Basic " + base64.b64encode(f"{user}:{key}".encode()).decode()}


def test_a_key_comes_in_three_ways(tmp_path):
    door = Authenticator(keys(tmp_path, {"web": digest("k1"), "app": {"sha256": digest("k2"), "rate": 5}}), None)
    assert ask(door, {"authorization": "Bearer k1"}).name == "web"
    assert ask(door, {"authorization": "bearer k1"}).name == "web"
    assert ask(door, {"x-api-key": "k2"}).rate == 5
    assert ask(door, basic("app", "k2")).name == "app"


@pytest.mark.parametrize(
    ("headers", "status", "reason"),
    [
        ({}, 401, "no_credentials"),
        ({"authorization": "Bearer "}, 401, "no_credentials"),
        ({"authorization": "Digest k1"}, 401, "no_credentials"),
        ({"authorization": "Bearer nope"}, 401, "unknown_key"),
        ({"authorization": f"Bearer {digest('k1')}"}, 401, "unknown_key"),
        ({"x-api-key": "k1 "[:1]}, 401, "unknown_key"),
        ({"authorization": "Basic !!"}, 400, "bad_credentials"),
        (basic("other", "k1"), 401, "unknown_key"),
        (basic("web", "nope"), 401, "unknown_key"),
        ({"authorization": "Bearer a.b.c"}, 401, "unknown_key"),
    ],
)
def test_others_stay_outside(tmp_path, headers, status, reason):
    assert refused(Authenticator(keys(tmp_path, {"web": digest("k1")}), None), headers) == (status, reason)


def test_a_key_opens_only_its_routes(tmp_path):
    door = Authenticator(keys(tmp_path, {"logger": {"sha256": digest("k"), "routes": ["events"]}}), None)
    assert ask(door, {"x-api-key": "k"}, "events").name == "logger"
    assert refused(door, {"x-api-key": "k"}, "feedback") == (403, "route_not_allowed")


def test_keys_change_under_a_running_service(tmp_path, monkeypatch):
    monkeypatch.setattr(authentication, "_RELOAD_SECONDS", 0.0)
    file = keys(tmp_path, {"web": digest("old")})
    (tmp_path / "keys.json").write_text("{half")
    assert file.sender("old").name == "web"
    (tmp_path / "keys.json").write_text(json.dumps({"web": digest("new")}))
    assert file.sender("new").name == "web"
    assert file.sender("old") is None


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ([], "must be a JSON object"),
        ({}, "must be a JSON object"),
        ({"web": "secret"}, "not 64 hex digits"),
        ({"web": 7}, "give the key's SHA-256"),
        ({"bob@x.org": digest("k")}, "a key id is"),
        ({"web": {"sha256": digest("k"), "rate": -1}}, "rate and burst"),
        ({"web": {"sha256": digest("k"), "rates": 1}}, "unknown fields rates"),
        ({"web": {"sha256": digest("k"), "routes": ["metrics"]}}, "routes is a list"),
        ({"web": digest("k"), "app": digest("k")}, "one key to web and to app"),
    ],
)
def test_bad_keys_file_says_what_is_wrong(tmp_path, document, words):
    with pytest.raises(IntakeError, match=words):
        keys(tmp_path, document)


def test_refuses_to_start_open(monkeypatch):
    for name in ("KEYS_FILE", "OIDC_ISSUER", "OIDC_AUDIENCE"):
        monkeypatch.delenv(f"FLYWHEEL_INTAKE_{name}", raising=False)

    def made(host="127.0.0.1", no_auth=False):
        return Settings.from_environment("segments", "store", host, 8080, no_auth=no_auth)

    with pytest.raises(IntakeError, match="nobody could be let in"):
        made()
    with pytest.raises(IntakeError, match="loopback only"):
        made("0.0.0.0", True)
    assert made(no_auth=True).no_auth
    assert made("::1", True).no_auth
    monkeypatch.setenv("FLYWHEEL_INTAKE_OIDC_ISSUER", "https://issuer")
    with pytest.raises(IntakeError, match="AUDIENCE is not"):
        made()
    monkeypatch.setenv("FLYWHEEL_INTAKE_OIDC_AUDIENCE", AUDIENCE)
    assert made("0.0.0.0").issuer == "https://issuer"
    with pytest.raises(IntakeError, match="contradicts"):
        made(no_auth=True)
    monkeypatch.setenv("FLYWHEEL_INTAKE_OIDC_ISSUER", "http://issuer")
    with pytest.raises(IntakeError, match="https"):
        made()


# tokens ---------------------------------------------------------------------------------------------------------------


class Issuer:
    """An OIDC issuer with keys of its own on loopback."""

    def __init__(self):
        self.rsa = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.ec = ec.generate_private_key(ec.SECP256R1())
        self.published = ["rsa", "ec"]
        self.fetches = 0
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                if self.path == "/.well-known/openid-configuration":
                    document = {"issuer": issuer.address, "jwks_uri": f"{issuer.address}/keys"}
                else:
                    issuer.fetches += 1
                    document = {"keys": [issuer.jwk(name) for name in issuer.published]}
                body = json.dumps(document).encode()
                self.send_response(200)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def jwk(self, name):
        key = {"rsa": self.rsa, "ec": self.ec, "late": self.rsa}[name].public_key()
        family = jwt.algorithms.ECAlgorithm if name == "ec" else jwt.algorithms.RSAAlgorithm
        return family.to_jwk(key, as_dict=True) | {"kid": name, "use": "sig"}

    def token(self, kid="rsa", algorithm=None, key=None, **claims):
        given = {"iss": self.address, "aud": AUDIENCE, "sub": "bob@x.org", "exp": time.time() + 60} | claims
        given = {name: value for name, value in given.items() if value is not None}
        key = key or (self.ec if kid == "ec" else self.rsa)
        return jwt.encode(given, key, algorithm or ("ES256" if kid == "ec" else "RS256"), headers={"kid": kid})

    def close(self):
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def issuer():
    made = Issuer()
    yield made
    made.close()


def bearer(token):
    return {"authorization": f"Bearer {token}"}


def test_tokens_of_both_algorithms_open_and_keys_are_fetched_once(issuer):
    door = Authenticator(None, TokenVerifier(issuer.address, AUDIENCE))

    async def both():
        return [await door.sender(bearer(issuer.token(kid)), "feedback") for kid in ("rsa", "ec", "rsa")]

    names = {sender.name for sender in asyncio.run(both())}
    assert len(names) == 1
    assert "bob" not in names.pop()
    assert issuer.fetches == 1


def test_bad_tokens_are_refused_with_the_reason(issuer):
    door = Authenticator(None, TokenVerifier(issuer.address, AUDIENCE))
    stranger = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    public = issuer.rsa.public_key().public_numbers().n.to_bytes(256, "big")
    bad = {
        "expired": issuer.token(exp=time.time() - 3600),
        "for another": issuer.token(aud="other"),
        "of another": issuer.token(iss="https://evil"),
        "no audience": issuer.token(aud=None),
        "no expiry": issuer.token(exp=None),
        "no subject": issuer.token(sub=None),
        "forged": issuer.token(key=stranger),
        "hmac with the public key": issuer.token(algorithm="HS256", key=public),
        "unsigned": jwt.encode({"sub": "x"}, None, "none", headers={"kid": "rsa"}),
        "algorithm of another key": issuer.token("ec", "RS256", issuer.rsa),
        "unknown key": issuer.token("nobody", key=stranger),
        "garbage": "a.b.c",
    }

    async def all_of_them():
        answers = {}
        for name, token in bad.items():
            with pytest.raises(Denied) as caught:
                await door.sender(bearer(token), "feedback")
            answers[name] = (caught.value.status, caught.value.reason)
        return answers

    answers = asyncio.run(all_of_them())
    assert answers.pop("expired") == (401, "token_expired")
    assert set(answers.values()) == {(401, "bad_token")}
    assert issuer.fetches == 1  # unknown key ids do not make it fetch again and again


def test_new_keys_are_found_and_known_ones_outlive_the_issuer(issuer, monkeypatch):
    monkeypatch.setattr(oidc, "_LEAST_SECONDS", 0.0)
    door = Authenticator(None, TokenVerifier(issuer.address, AUDIENCE))
    token, late = issuer.token(), issuer.token("late", "RS256", issuer.rsa)

    async def story():
        await door.sender(bearer(token), "events")
        with pytest.raises(Denied):
            await door.sender(bearer(late), "events")
        issuer.published.append("late")
        await door.sender(bearer(late), "events")
        issuer.close()
        monkeypatch.setattr(oidc, "_FRESH_SECONDS", 0.0)
        await door.sender(bearer(token), "events")

    asyncio.run(story())


def test_issuer_that_was_never_reached_is_a_503_with_a_time_to_come_back():
    door = Authenticator(None, TokenVerifier("http://127.0.0.1:9", AUDIENCE))
    token = jwt.encode({"sub": "x"}, rsa.generate_private_key(public_exponent=65537, key_size=2048), "RS256")
    assert refused(door, bearer(token)) == (503, "issuer_unreachable")


@pytest.mark.slow
def test_over_http(start, keys_file, issuer):
    environment = {
        "FLYWHEEL_INTAKE_KEYS_FILE": str(keys_file),
        "FLYWHEEL_INTAKE_OIDC_ISSUER": issuer.address,
        "FLYWHEEL_INTAKE_OIDC_AUDIENCE": AUDIENCE,
    }
    service = start("--move-seconds", "600", environment=environment)
    one = {"interaction": "i", "rating": 1}
    status, answer, headers = service.post("/v1/feedback", one)
    assert (status, answer["error"]) == (401, "no_credentials")
    assert headers["WWW-Authenticate"].startswith("Bearer")
    assert service.post("/v1/feedback", one, bearer("k-7f3a9d0c"))[0] == 202
    assert service.post("/v1/feedback", one, bearer(issuer.token()))[0] == 202
    assert service.post("/v1/feedback", one, bearer(issuer.token(aud="x")))[1]["error"] == "bad_token"
    assert service.metric("flywheel_intake_events_total", route="feedback", outcome="unauthorized") == 2
    assert service.metric("flywheel_intake_events_total", route="feedback", outcome="accepted") == 2
    assert service.stop() == 0
    origins = {json.loads(row["attributes"])["intake"]["file"] for row in service.rows("feedback")}
    assert origins == {"/v1/feedback web"}  # the second is the same feedback


@pytest.mark.slow
def test_start_without_credentials_is_refused_with_exit_code_2(start):
    service = start(environment={"X": "y"}, wait=False)
    assert service.child.wait(60) == 2
    assert "nobody could be let in" in service.log.read_text()

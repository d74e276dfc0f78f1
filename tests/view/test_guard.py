import pytest

from tests.view.served import PORT, TOKEN, Client

ABOUT = f"/{TOKEN}/about"


@pytest.mark.parametrize("host", [f"127.0.0.1:{PORT}", f"localhost:{PORT}"])
def test_the_names_of_this_machine_are_served(client: Client, host: str):
    assert client.raw.get(ABOUT, headers={"host": host}).status_code == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        f"evil.example:{PORT}",
        "127.0.0.1",
        f"127.0.0.1:{PORT + 1}",
        f"127.0.0.1.evil.example:{PORT}",
        "",
    ],
)
def test_another_name_is_refused_as_dns_rebinding_would_use_it(client: Client, host: str):
    answer = client.raw.get(ABOUT, headers={"host": host})
    assert answer.status_code == 403
    assert answer.text == "this Host is not the viewer's; open the address that `retseg view` printed\n"


@pytest.mark.parametrize("path", ["/", "/about", "/abc12/about", "/abc1234/about", "//about", f"/x/{TOKEN}/about"])
def test_without_the_token_there_is_nothing(client: Client, path: str):
    answer = client.raw.get(path)
    assert answer.status_code == 404
    assert answer.text == "nothing here; open the whole address that `retseg view` printed\n"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"origin": f"http://127.0.0.1:{PORT}", "sec-fetch-site": "same-origin"}, 200),
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": f"http://127.0.0.1:{PORT + 1}"}, 403),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-site"}, 403),
    ],
)
def test_only_the_page_itself_changes_something(client: Client, headers: dict[str, str], status: int):
    before = client.post("scans").json()["id"]
    answer = client.raw.post(f"/{TOKEN}/scans", headers=headers)
    assert answer.status_code == status
    if status == 403:
        assert answer.text == "a request of another page; only the viewer's own page may change something\n"
        assert client.session.drop(before).id == before


def test_every_answer_forbids_other_origins_and_keeping(client: Client):
    for answer in (client.get("about"), client.get("missing"), client.raw.get("/"), client.post("scans")):
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert "unsafe" not in answer.headers["content-security-policy"]
        assert "access-control-allow-origin" not in answer.headers


def test_preflights_of_other_origins_are_refused(client: Client):
    headers = {"origin": "http://evil.example", "access-control-request-method": "POST"}
    assert client.raw.options(f"/{TOKEN}/scans", headers=headers).status_code == 403

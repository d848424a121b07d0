"""Copies all sessions of a client to a file, and at every later start what has changed since.

    UPTOK_URL=https://uptok.example UPTOK_API_KEY=... python3 export.py [sessions.ndjson]

Needs Python 3.9 or newer and no packages. README.md explains the file.
"""

import http.client
import json
import os
import re
import sys
import time
from datetime import timedelta
from email.utils import parsedate_to_datetime
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode
from urllib.request import HTTPRedirectHandler, Request, build_opener

TRIES = 5
LONGEST_WAIT = 300  # seconds; a server that asks for more ends the program
TIMEOUT = 60  # seconds
# A change counts from when it began, not from when it was stored, so the last minute is always read again.
OVERLAP = timedelta(minutes=1)


class Stop(Exception):
    """Why the export stopped, for people."""


class RefuseRedirect(HTTPRedirectHandler):
    """The key must not follow a redirect to another server."""

    def redirect_request(self, *_):
        return None


OPENER = build_opener(RefuseRedirect)


def load_page(url, key, query):
    """Returns a page of sessions, the cursor of the next one, and the time of the server."""
    headers = {"Authorization": f"Bearer {key}", "Accept": "application/json"}
    request = Request(f"{url}/api/sessions?{urlencode(query)}", headers=headers)
    for attempt in range(1, TRIES + 1):
        try:
            with OPENER.open(request, timeout=TIMEOUT) as response:
                page = json.loads(response.read())
                return page["data"], page.get("nextCursor"), parsedate_to_datetime(response.headers["Date"])
        except HTTPError as error:
            wait = wait_seconds(error.headers["Retry-After"])
            if error.code not in (429, 503) or attempt == TRIES or wait > LONGEST_WAIT:
                raise Stop(describe(error)) from None
        except URLError as error:
            raise Stop(f"{url} cannot be reached ({error.reason})") from None
        except (http.client.HTTPException, OSError, ValueError, KeyError, TypeError):
            raise Stop("the answer broke off") from None
        time.sleep(wait)


def wait_seconds(retry_after):
    return int(retry_after) if (retry_after or "").isdecimal() else 5


def describe(error):
    """The first sentence that the server says, and the status."""
    try:
        detail = json.loads(error.read())["detail"].split(". ")[0].rstrip(".")
    except (http.client.HTTPException, OSError, ValueError, KeyError, TypeError, AttributeError):
        detail = "the server refused the request"
    return f"{detail} (HTTP {error.code})"


def load_progress(path, progress_path):
    """How much of the file is complete, and where to go on."""
    if os.path.exists(progress_path):
        with open(progress_path, encoding="utf-8") as file:
            return json.load(file)
    if os.path.exists(path) and os.path.getsize(path) > 0:
        raise Stop(f"{path} exists already, and is not from this program")
    progress = {"bytes": 0, "cursor": None, "updatedSince": None, "startedAt": None}
    save_progress(progress, progress_path)
    return progress


def save_progress(progress, progress_path):
    """Replaces the file in one step, so that it is whole whenever the program is killed."""
    with open(f"{progress_path}.new", "w", encoding="utf-8") as file:
        json.dump(progress, file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(f"{progress_path}.new", progress_path)


def export(url, key, path):
    """Appends every session, or those that changed since the last export. Returns how many."""
    progress_path = f"{path}.progress"
    progress = load_progress(path, progress_path)
    count = 0
    with open(path, "ab") as file:
        if file.tell() < progress["bytes"]:
            raise Stop(f"{path} is shorter than it was; delete it and {progress_path}")
        # What was written after the last saved progress comes again.
        file.truncate(progress["bytes"])
        while True:
            query = {name: progress[name] for name in ("cursor", "updatedSince") if progress[name]}
            sessions, cursor, now = load_page(url, key, {"perPage": 1000, **query})
            if progress["startedAt"] is None:
                progress["startedAt"] = (now - OVERLAP).strftime("%Y-%m-%dT%H:%M:%SZ")
            for session in sessions:
                file.write(json.dumps(session, ensure_ascii=False).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
            count += len(sessions)
            progress["bytes"], progress["cursor"] = file.tell(), cursor
            if cursor is None:
                progress["updatedSince"], progress["startedAt"] = progress["startedAt"], None
            save_progress(progress, progress_path)
            if cursor is None:
                return count


def main():
    url = os.environ.get("UPTOK_URL", "http://localhost:8080").rstrip("/")
    key = os.environ.get("UPTOK_API_KEY", "").strip()
    path = sys.argv[1] if len(sys.argv) > 1 else "sessions.ndjson"
    try:
        if not re.fullmatch(r"uptok_[0-9A-Za-z]{12}_[0-9A-Za-z]{38}", key):
            raise Stop("UPTOK_API_KEY is not an API key of Uptok")
        if not re.match(r"https?://", url):
            raise Stop("UPTOK_URL does not begin with https:// or http://")
        print(f"{export(url, key, path)} sessions written to {path}")
    except (Stop, OSError) as error:
        reason = str(error).replace(key, "(key)") if key else str(error)
        sys.exit(f"The export stopped and can be started again: {reason}.")
    except KeyboardInterrupt:
        sys.exit("The export was interrupted and can be started again.")


if __name__ == "__main__":
    main()

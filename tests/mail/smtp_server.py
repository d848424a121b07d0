"""An SMTP server for the tests. Prints its port, then each accepted message as a line of JSON, until standard input closes.

The first argument is what the server does: `accept`, `reject` recipients for good, be `busy`, or `cut` the connection
instead of the reply to the first message. The second one, if it is not empty, names a file; the server does so only
while that file exists, and accepts mail otherwise. The third one is the port, if it is not any free one.
"""

import asyncio
import email
import email.policy
import json
import pathlib
import sys

from aiosmtpd.smtp import SMTP

BEHAVIOUR = sys.argv[1]
SWITCH = pathlib.Path(sys.argv[2]) if len(sys.argv) > 2 and sys.argv[2] else None
PORT = int(sys.argv[3]) if len(sys.argv) > 3 else 0


class Handler:
    def is_active(self):
        return SWITCH is None or SWITCH.exists()

    async def handle_RCPT(self, server, session, envelope, address, options):
        if self.is_active() and BEHAVIOUR == "reject":
            return "550 5.1.1 no such mailbox"
        if self.is_active() and BEHAVIOUR == "busy":
            return "451 4.3.0 try again later"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        message = email.message_from_bytes(envelope.content, policy=email.policy.default)
        part = lambda kind: message.get_body((kind,)).get_content()
        print(json.dumps({
            "from": envelope.mail_from,
            "to": envelope.rcpt_tos,
            "subject": message["Subject"],
            "messageId": message["Message-ID"],
            "replyTo": message["Reply-To"],
            "text": part("plain"),
            "html": part("html"),
        }), flush=True)
        if self.is_active() and BEHAVIOUR == "cut":
            if SWITCH:
                SWITCH.unlink()
            server.transport.abort()
        return "250 OK"


async def main():
    handler = Handler()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: SMTP(handler, enable_SMTPUTF8=True, hostname="mail"), "127.0.0.1", PORT)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


asyncio.run(main())

"""
An SSH server for a test: serves this machine's files by SFTP to one key, until it is stopped.

    python tests/examples/ssh_server.py HOST PORT HOST_KEY USER_KEY.pub
"""

import asyncio
import sys

import asyncssh


async def serve(host: str, port: str, host_key: str, user_key: str) -> None:
    await asyncssh.listen(
        host,
        int(port),
        server_host_keys=[host_key],
        authorized_client_keys=user_key,
        sftp_factory=True,
    )
    await asyncio.Event().wait()


asyncio.run(serve(*sys.argv[1:]))

"""Deploy over SSH: the user's own OpenSSH carries one session, in which the device's Python runs our agent.

The agent (`edgevoice.remote.agent`, standard library only) is sent as text and answers requests on standard
input and output, so nothing has to be installed on the device first. A request is a line of JSON, followed by
``payload`` bytes where it says so; the answer is a line of JSON::

    > {"do": "put", "with": {"sha256": "...", "offset": 0}, "payload": 262144}
    > <262144 bytes>
    < {"reply": {}}                    or {"error": "one line for the user"}

Before the first answer comes the line `agent.loop.READY`: whatever a login shell printed stands before that.
"""

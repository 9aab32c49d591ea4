"""Signs transactions with the chain's own command line tool, several at once.

The tool is a large program whose start costs more CPU time than the chain needs for a transaction.
So the next transactions of a wallet are signed together, without querying the chain.
"""

from __future__ import annotations

import base64
import json
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, List, Mapping, Protocol, Sequence

from . import bech32, protobuf
from .errors import LoadError
from .rpc import Account

GAS = 500_000
"""Limit of a transaction; an offer uses about 90 000."""
PUBLIC_KEY = "/cosmos.crypto.secp256k1.PubKey"
DIRECT = 1
"""SIGN_MODE_DIRECT: the signature is over the bytes that are sent."""
SIGN_TIMEOUT = 120.0


@dataclass(frozen=True)
class Message:
    """A message of a transaction, in the forms that the tool and the chain read."""

    type_url: str
    fields: Mapping[str, Any]
    encoded: bytes


def spend_action(owner: str, action: str) -> Message:
    """A smart wallet's action that may spend; `action` is CapData as JSON."""
    return Message(
        "/agoric.swingset.MsgWalletSpendAction",
        {"owner": owner, "spend_action": action},
        protobuf.message((1, bech32.decode(owner)), (2, action)),
    )


def provision(owner: str, nickname: str) -> Message:
    """A request for a smart wallet."""
    flag = "SMART_WALLET"
    return Message(
        "/agoric.swingset.MsgProvision",
        {"nickname": nickname, "address": owner, "power_flags": [flag], "submitter": owner},
        protobuf.message(
            (1, nickname), (2, bech32.decode(owner)), (3, flag), (4, bech32.decode(owner))
        ),
    )


class Signer(Protocol):
    """Creates signed transactions."""

    def sign(self, key: str, account: Account, messages: Sequence[Message]) -> List[bytes]:
        """One transaction per message, numbered from the account's sequence on."""


class ToolSigner:
    """The chain's command line tool with a keyring."""

    def __init__(self, tool: str, keys: Path, chain_id: str) -> None:
        """`keys` is the tool's home with the keyring."""
        self._tool = tool
        self._keys = keys
        self._chain_id = chain_id

    def sign(self, key: str, account: Account, messages: Sequence[Message]) -> List[bytes]:
        """See `Signer`. Raises LoadError with the tool's error."""
        with tempfile.TemporaryDirectory(prefix="loadgen-sign-") as folder:
            unsigned, signed = Path(folder, "unsigned.json"), Path(folder, "signed.json")
            lines = [json.dumps(_unsigned(message)) for message in messages]
            unsigned.write_text("\n".join(lines) + "\n", encoding="utf-8")
            self._run(key, account, str(unsigned), str(signed))
            try:
                made = signed.read_text(encoding="utf-8").splitlines()
                done = [json.loads(line) for line in made if line]
            except (OSError, ValueError) as error:
                raise LoadError(f"{self._tool} left no signatures: {error}") from error
        if len(done) != len(messages):
            raise LoadError(f"{self._tool} signed {len(done)} of {len(messages)} transactions")
        return [encoded(message, tx) for message, tx in zip(messages, done)]

    def _run(self, key: str, account: Account, unsigned: str, signed: str) -> None:
        argv = [
            *(self._tool, "tx", "sign-batch", unsigned),
            *(f"--from={key}", "--keyring-backend=test", f"--home={self._keys}"),
            *("--offline", f"--chain-id={self._chain_id}", "--sign-mode=direct"),
            *(f"--account-number={account.number}", f"--sequence={account.sequence}"),
            f"--output-document={signed}",
        ]
        try:
            done = subprocess.run(  # noqa: S603 - the SDK's own tool, no shell
                argv,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                check=False,
                timeout=SIGN_TIMEOUT,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise LoadError(f"cannot sign with {self._tool}: {error}") from error
        if done.returncode != 0:
            # The tool prints its error before a page of usage.
            words = [line for line in done.stderr.splitlines() if line.startswith("Error:")]
            reason = words[0] if words else done.stderr.strip()[-500:]
            raise LoadError(f"{self._tool} cannot sign for {key}: {reason}")


def _unsigned(message: Message) -> Dict[str, Any]:
    return {
        "body": {
            "messages": [{"@type": message.type_url, **message.fields}],
            "memo": "",
            "timeout_height": "0",
            "extension_options": [],
            "non_critical_extension_options": [],
        },
        "auth_info": {
            "signer_infos": [],
            "fee": {"amount": [], "gas_limit": str(GAS), "payer": "", "granter": ""},
        },
        "signatures": [],
    }


def encoded(message: Message, signed: Mapping[str, Any]) -> bytes:
    """The bytes of a transaction (cosmos.tx.v1beta1.TxRaw) that the tool signed.

    `signed` is the tool's JSON, of which the signer and the signature are used. The chain checks
    the signature over the other bytes, so they cannot differ unnoticed.
    """
    try:
        (info,) = signed["auth_info"]["signer_infos"]
        (signature,) = signed["signatures"]
        public = base64.b64decode(info["public_key"]["key"])
        sequence = int(info["sequence"])
    except (KeyError, TypeError, ValueError) as error:
        raise LoadError(f"the signed transaction is of an unknown form: {error!r}") from error
    pack, mode = protobuf.message, protobuf.message((1, protobuf.message((1, DIRECT))))
    key = pack((1, PUBLIC_KEY), (2, pack((1, public))))
    body = pack((1, pack((1, message.type_url), (2, message.encoded))))
    auth = pack((1, pack((1, key), (2, mode), (3, sequence))), (2, pack((2, GAS))))
    return pack((1, body), (2, auth), (3, base64.b64decode(signature)))

"""The event contract as documents, made from the code: JSON Schemas, AsyncAPI, and what guards the committed ones."""

from streambank.bank.contract.asyncapi import asyncapi
from streambank.bank.contract.compatibility import Incompatibility, incompatibilities
from streambank.bank.contract.errors import ContractError, IncompatibleContractError
from streambank.bank.contract.event_types import EventType, event_types
from streambank.bank.contract.files import Comparison, compare, export, files, render
from streambank.bank.contract.participants import Participant, services, topology
from streambank.bank.contract.schemas import schema

__all__ = [
    "Comparison",
    "ContractError",
    "EventType",
    "Incompatibility",
    "IncompatibleContractError",
    "Participant",
    "asyncapi",
    "compare",
    "event_types",
    "export",
    "files",
    "incompatibilities",
    "render",
    "schema",
    "services",
    "topology",
]

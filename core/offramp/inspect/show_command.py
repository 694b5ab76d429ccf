"""`offramp bundle show|cuts DIR`: what a manifest says, for people and for programs."""

import argparse
import json

from offramp.bundle.shipped import find_bundle
from offramp.bundle.store import open_bundle
from offramp.cli import DONE


class ShowCommand:
    summary = "what it is: sample, labels, accuracy, cuts, branches, certificate"

    def configure(self, parser: argparse.ArgumentParser) -> None:
        pass

    def run(self, args: argparse.Namespace) -> int:
        from offramp.inspect.show import show_page, show_record

        bundle = open_bundle(find_bundle(args.bundle))
        print(_json(show_record(bundle)) if args.json else show_page(bundle))
        return DONE


class CutsCommand:
    summary = "every cut that the network has, kept or not"

    def configure(self, parser: argparse.ArgumentParser) -> None:
        pass

    def run(self, args: argparse.Namespace) -> int:
        from offramp.inspect.show import cuts_page, cuts_record

        bundle = open_bundle(find_bundle(args.bundle))
        print(_json(cuts_record(bundle)) if args.json else cuts_page(bundle))
        return DONE


def _json(record: object) -> str:
    return json.dumps(record, indent=1, ensure_ascii=False)


SHOW, CUTS = ShowCommand(), CutsCommand()

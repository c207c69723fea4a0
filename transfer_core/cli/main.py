"""The command line on the same engine as the app: `python -m transfer_core --help`."""

from __future__ import annotations

import shlex
from contextlib import ExitStack

import click

from transfer_core.cli.backbones import MODEL_COMMANDS
from transfer_core.cli.chosen_language import Group, chosen_language, language_of_system, spoken
from transfer_core.cli.classroom import classroom
from transfer_core.cli.cluster import cluster
from transfer_core.cli.compare import COMPARE_COMMANDS
from transfer_core.cli.datasets import DATASET_COMMANDS
from transfer_core.cli.output import (
    error_message,
    print_note,
)
from transfer_core.cli.projects import project
from transfer_core.cli.runs import RUN_COMMANDS
from transfer_core.cli.training import TRAINING_COMMANDS
from transfer_core.data.sources.layout_choice import LayoutChoice, LayoutQuestionError
from transfer_core.language import _


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--language",
    metavar="CODE",
    help="Language to speak, such as de or zh_CN; that of your system by default.",
    expose_value=False,
    is_eager=True,
    callback=chosen_language,
)
def cli() -> None:
    """Teach a pretrained network your own classes, from the command line."""


for command in (
    *DATASET_COMMANDS,
    *TRAINING_COMMANDS,
    *RUN_COMMANDS,
    *MODEL_COMMANDS,
    *COMPARE_COMMANDS,
    project,
    classroom,
    cluster,
):
    cli.add_command(command)


def _layout_option(choice: LayoutChoice) -> str:
    if choice.folder:
        return f"--only-folder {shlex.quote(choice.folder)}"
    if choice.column:
        return f"--label-column {shlex.quote(choice.column)}"
    return f"--layout {choice.layout}"


def main() -> int:
    """Run the command line; every error is one clear line on standard error.

    Returns:
        The exit code: 0 when all went well.
    """
    with ExitStack() as stack:
        stack.enter_context(spoken(language_of_system()))
        return _run(stack)


def _run(stack: ExitStack) -> int:
    try:
        cli(prog_name="python -m transfer_core", standalone_mode=False, obj=stack)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message())
    except (click.Abort, KeyboardInterrupt) as error:
        # Click takes the end of any file that is read for the end of the input, which means to stop.
        if isinstance(error.__cause__, EOFError):
            print_note(_("Error: {message}").format(message=error_message(error.__cause__)))
            return 1
        print_note(_("Stopped."))
        return 130
    except LayoutQuestionError as error:
        options = ", ".join(map(_layout_option, error.question.choices))
        print_note(
            _("Error: {question} Say so with one of: {options}.").format(
                question=error.question.sentence, options=options
            )
        )
        return 1
    except Exception as error:  # noqa: BLE001  (the last resort: a traceback says nothing to a person)
        print_note(_("Error: {message}").format(message=error_message(error)))
        return error.exit_code if isinstance(error, click.ClickException) else 1
    return 0

"""Short explanations of the field's terms, the same wherever a term appears."""

from transfer_core.language import _

# In English here; put into the language of the person when shown.
_EXPLANATIONS = {
    "pretrained": (
        "A network that has already learned to see from more than a million photos. Your few photos then only "
        "have to teach it your own classes. This is called transfer learning."
    ),
    "parameters": "The numbers in a network that learning sets. More of them tell finer things apart.",
    "input size": "Every photo is squeezed to a square of this many pixels before the network sees it.",
    "imagenet accuracy": (
        "How often the network names the right one of 1,000 things on photos of the ImageNet set, by its authors."
    ),
    "block": (
        "A group of layers that belong together. The first find edges and colours, the last whole things."
    ),
    "frozen": (
        "Frozen layers stay exactly as they are. They look at each photo only once, so training is quick."
    ),
    "trainable": "The numbers that change while the network learns from your photos.",
    "fine-tuning": (
        "Letting some blocks of the pretrained network learn along, in small steps. It can help with many photos "
        "that look unlike everyday ones, and takes longer. The blocks' running statistics (BatchNormalization) "
        "stay as they are, because few photos would spoil them."
    ),
    "epoch": "One epoch is one round in which the network sees every training photo once.",
    "learning rate": (
        "How big the steps are in which the network changes. Too big and it stumbles, too small and it crawls."
    ),
    "batch size": "How many photos the network looks at before each step. 32 suits nearly always.",
    "dropout": (
        "This share of what the network sees is hidden at random in each step: no single detail decides."
    ),
    "seed": "The starting number of everything random. The same seed gives the same result again.",
    "validation": (
        "Photos that are kept aside and never learned from. Only they show how well the network does on photos "
        "that are new to it."
    ),
    "test images": (
        "Photos from your folder named test. They are neither learned from nor used to pick the best epoch, so they "
        "give the most honest accuracy of all."
    ),
    "cross-validation": (
        "The images are parted, and each part is once the one that the network is checked with. So every image is "
        "checked, and you see how much the result depends on the draw."
    ),
    "accuracy": "The share of photos whose class is right.",
    "loss": "How far off the network is, counting how sure it was. Lower is better.",
    "confusion matrix": (
        "Each row is a true class, each column what the network said. The diagonal is right."
    ),
    "probability": "How sure the network is. All classes together make 100 %.",
}


def explain(term: str) -> str:
    """Return the explanation of a term, for a help text.

    Raises:
        KeyError: If the term is not in the glossary.
    """
    return _(_EXPLANATIONS[term])

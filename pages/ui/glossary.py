"""Short explanations of the field's terms, the same wherever a term appears."""

from transfer_core.language import _

# In English here; put into the language of the person when shown.
_EXPLANATIONS = {
    "pretrained": (
        "A network that has already learned to see from more than a million photos. Your few photos then only "
        "have to teach it your own classes. This is called transfer learning."
    ),
    "licence": "What the makers of the weights allow you to do with them. It matters when you publish or sell.",
    "lineage": (
        "What the network has learned, the latest first. Each step began with what the one before had learned "
        "(source task and target task)."
    ),
    "audition": (
        "The network looks at each of your photos once. Then a simple classifier (logistic regression) learns from "
        "some of them and is checked on the others, in up to five rounds (cross-validation)."
    ),
    "trade-off": (
        "The quickest model whose accuracy is no further below the best than chance explains (one standard error)."
    ),
    "own model": (
        "The part of your model that sees is kept; its last layer is replaced by one for the new classes. This "
        "helps most when the new photos look like those it learned from."
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
    "time left": (
        "How long the whole run will probably still take. At first this is a guess from the number of photos; it "
        "gets better with every batch. Pauses do not count."
    ),
    "best epoch": "The model is kept as it was after the epoch with the lowest validation loss.",
    "memory": "What the app and the training together hold in this computer's memory.",
    "schedule": (
        "*New layer, then fine-tuning* first teaches the new layer alone, then lets the unfrozen blocks join in with "
        "smaller steps (Kumar et al. 2022). *New layer only* stops before that. *All at once* is the textbook's way. "
        "*Block by block* unfreezes one block after the other, from the end (Howard and Ruder 2018)."
    ),
    "early stopping": (
        "A part of the training ends after this many epochs without a lower validation loss. The best epoch is kept. "
        "0 never ends early."
    ),
    "optimizer": (
        "The rule by which the weights are changed. *Adam* adapts the steps to each weight. *AdamW* is Adam with "
        "weight decay. *SGD* takes plain steps with momentum."
    ),
    "fine-tuning rate": (
        "How big the steps are while the unfrozen blocks learn along. Keep it 10 to 100 times below the learning rate "
        "of the new layer: big steps would undo what the network knows."
    ),
    "weight decay": (
        "Pulls the weights gently towards zero, which keeps the model simple. Counts with AdamW and SGD."
    ),
    "momentum": "How much of the last step goes into the next. Counts with SGD.",
    "layer decay": (
        "Discriminative learning rates: each block learns at this multiple of the rate of the block behind it, so "
        "that early blocks, which see edges and colours, change least. 1 is the same rate for all."
    ),
    "head": (
        "*What fits best* compares the three on your training photos. *Linear* weighs the pooled features. "
        "*With a hidden layer* can also combine them. *On the whole map* also "
        "knows where in the photo something is: good when position matters, but easily learned by heart."
    ),
    "hidden layer": "How many units the hidden layer has. More of them learn more, also by heart.",
    "label smoothing": (
        "Takes this share of the certainty from the right class, so that the model does not become too sure."
    ),
    "augmentation": (
        "Shows the network varied copies of the training photos: mirrored, turned, zoomed, in other light. It then "
        "learns what stays the same. Validation photos are never varied."
    ),
    "views": (
        "How many versions of each training photo go through the frozen layers once and are kept: the photo itself "
        "and varied copies. Each one takes as much time and disk as one photo."
    ),
    "live augmentation": (
        "Varies the photos anew in every epoch. More variety, but nothing can be kept: every photo goes through the "
        "whole network every time, which takes many times as long."
    ),
    "cache dtype": (
        "How exactly the answers of the frozen layers are kept on disk. Half precision takes half the space and "
        "changes the result by less than another seed would."
    ),
    "class weights": (
        "Lets each photo of a small class count more, so that all classes weigh the same together. On by itself when "
        "the largest class has more than one and a half times the photos of the smallest."
    ),
    "oversampling": (
        "Shows photos of small classes several times an epoch, until all classes are as large as the largest."
    ),
    "single layers": (
        "Lets single layers of the network learn along, besides the blocks chosen on the Layers page. "
        "BatchNormalization layers stay as they are: they run in inference mode while fine-tuning."
    ),
    "rate finder": (
        "Trains for a moment with steps that grow from tiny to too large, and shows the loss at each "
        "(Smith 2017). It does not change your model."
    ),
    "feature extraction": (
        "Feature extraction: the whole pretrained network stays frozen and describes each photo by its features; only "
        "a new classifier on top learns. Quick, safe, and right for few photos."
    ),
    "fine-tuned": (
        "Fine-tuning: training starts from the pretrained weights, and the last blocks adapt to your photos in small "
        "steps. Right for many photos, or for ones that look unlike everyday photos."
    ),
    "from scratch": (
        "Training from scratch: the weights start at random and everything is learned from your photos alone. This "
        "needs many thousands of photos and much time; good for seeing what the pretrained weights are worth."
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

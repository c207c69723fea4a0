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
    "parity": (
        "The exported model is loaded by a fresh program, as another computer would, and scores the same photo files. "
        "Smaller versions round their numbers, so a few answers may change; that is counted and shown."
    ),
    "distillation": (
        "How sure the large model is of every wrong answer tells the small one which classes look alike. Known as "
        "knowledge distillation (Hinton and others, 2015). Both are measured on the same photos, kept apart for that."
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
    "kept epoch": (
        "The accuracy on the validation photos at the epoch that is kept. That is the epoch with the lowest validation "
        "loss. The loss also counts how sure the answers are."
    ),
    "memory": "What the app and the training together hold in this computer's memory.",
    "schedule": (
        "*New layer, then fine-tuning* first teaches the new layer alone, then lets the unfrozen blocks join in with "
        "smaller steps (Kumar et al. 2022). *New layer only* stops before that. *All at once* is the textbook's way. "
        "*Block by block* unfreezes one block after the other, from the end (Howard and Ruder 2018)."
    ),
    "early stopping": (
        "A part of the training ends after this many epochs without a lower validation loss. The epoch with the "
        "lowest is kept. 0 never ends early."
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
        "Varies the photos again in every epoch. More variety, but nothing can be kept: every photo goes through the "
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
        "Photos from your folder named test. Nothing is learned from them, and they don't pick the kept epoch. So "
        "their accuracy is the most honest one."
    ),
    "cross-validation": (
        "The images are parted, and each part is once the one that the network is checked with. So every image is "
        "checked, and you see how much the result depends on the draw."
    ),
    "all photos": (
        "Measures by cross-validation, then trains the final model on all photos. The curves still show the validation "
        "photos."
    ),
    "accuracy": "The share of photos whose class is right.",
    "loss": "How far off the network is, counting how sure it was. Lower is better.",
    "confusion matrix": (
        "Each row is a true class, each column what the network said. The diagonal is right."
    ),
    "grad-cam": (
        "Grad-CAM (Selvaraju et al. 2017) asks which cells of the last map in the network would change the score of a "
        "class most. The map is coarse, often 7 by 7 cells, so the colours show a region, not an outline."
    ),
    "image map": (
        "The network describes each photo by about a thousand numbers. The map squeezes them into two. *t-SNE* keeps "
        "neighbours together, but far distances on it mean little (van der Maaten and Hinton 2008); *PCA* shows the "
        "two directions in which the photos differ most."
    ),
    "mcnemar": (
        "Both runs answer the same photos. If they were equally good, each photo that changes sides would go either "
        "way like a coin. McNemar's exact test (1947) says how often coins would fall this unevenly."
    ),
    "freeze sweep": (
        "The same images are trained at several depths, everything else being the same. Each depth is trained more "
        "than once from other random starts, so that you see how much is luck."
    ),
    "depth trade-off": (
        "The shallowest depth whose accuracy is at most one standard error below the best: what these photos cannot "
        "tell apart counts as equal, and of equals the simplest is taken (Breiman et al. 1984)."
    ),
    "shortcut": (
        "Something that gives the class away in your photos but not in the world: a table, a wall, a watermark, the "
        "light. The model is then right for the wrong reason, and fails on photos from elsewhere."
    ),
    "probability": "How sure the network is. All classes together make 100 %.",
    "confidence interval": (
        "If you tested again and again with other photos of the same kind, the accuracy would lie in this range about "
        "19 times in 20 (95 % interval after Wilson). The more photos are tested, the narrower it gets."
    ),
    "precision": "Of the photos that the network called this class, the share that really is this class.",
    "recall": "Of the photos that really are this class, the share that the network found.",
    "f1": "Precision and recall in one number (their harmonic mean): high only when both are high.",
    "macro": "The mean over the classes: each class counts the same, however many photos it has.",
    "weighted": "The mean over the photos: a class with more photos counts more.",
    "top-2": "The share of photos whose class is among the two that the network finds most probable.",
    "log loss": (
        "How far off the probabilities are. Being sure and wrong costs most. Lower is better; 0 would be perfect."
    ),
    "roc": (
        "For each class: how many of its photos are found (upwards) against how many others are wrongly taken for it "
        "(to the right), for every threshold of probability. The area under the curve (AUC) is 1 for perfect, 0.5 for "
        "guessing."
    ),
    "precision-recall": (
        "For each class: how many of those found are right (upwards) against how many are found (to the right), for "
        "every threshold of probability. Tells more than ROC when a class is rare."
    ),
    "calibration": (
        "Whether the network is as sure as it should be: of the photos it is 80 % sure of, 80 % should be right."
    ),
    "ece": (
        "Expected calibration error: how far, on average, the stated certainty is from the share that is right. 0 is "
        "perfect."
    ),
    "temperature": (
        "Makes the confidence fit how often the model is right: lower above 1, higher below 1. It is used only where "
        "that helps on other photos. The predicted class never changes (temperature scaling, Guo et al. 2017)."
    ),
    "two models": (
        "Both see the very same picture. Where they differ, one of them has learned something that the other has not."
    ),
    "i don't know": (
        "Photos that are too unlike everything it learned from, or of which it is not sure enough, get no answer "
        "but a best guess."
    ),
    "familiarity": (
        "How similar a photo is to the three most similar training photos. It counts how close those are to each "
        "other (cosine similarity with a local scale)."
    ),
    "coverage": "The share of photos that get an answer.",
    "most typical": "Photos of a class of which the network is surest, and right.",
}


def explain(term: str) -> str:
    """Return the explanation of a term, for a help text.

    Raises:
        KeyError: If the term is not in the glossary.
    """
    return _(_EXPLANATIONS[term])

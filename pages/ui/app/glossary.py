"""Short explanations of the field's terms, the same wherever a term appears."""

from transfer_core.language import N_, said

# In English here; put into the language of the person when shown.
_EXPLANATIONS = {
    "pretrained": N_(
        "A model that has already seen a million photos. Your few photos only teach it your "
        "own classes. This is called transfer learning."
    ),
    "licence": N_(
        "What the makers of the weights allow you to do with them. It matters when you publish or sell."
    ),
    "lineage": N_(
        "What the model was trained on, the latest first. Each training started from the one before it."
    ),
    "audition": N_(
        "The model reads each of your photos once. A simple classifier (logistic regression) then trains on "
        "some and predicts the others. This is repeated up to five times (cross-validation)."
    ),
    "trade-off": N_("The fastest model whose accuracy is within one standard error of the best."),
    "distillation": N_(
        "A large model teaches a small one, also with its doubts. This is knowledge distillation (Hinton and "
        "others, 2015). Both are measured on the same test photos."
    ),
    "own model": N_(
        "Your model keeps the part that sees and gets a new last layer. This helps most when the new photos "
        "resemble the old ones."
    ),
    "parameters": N_(
        "The numbers in a network that training sets. More of them can represent finer details."
    ),
    "input size": N_("Every photo is resized to a square of this many pixels."),
    "imagenet accuracy": N_(
        "How often it names the right one of 1,000 things (ImageNet), as its authors report."
    ),
    "frozen": N_(
        "Frozen layers do not change in training. Each photo goes through them only once, so training is "
        "quick."
    ),
    "fine-tuning": N_(
        "Some blocks of the pretrained model learn too, in small steps. It can help with many or unusual "
        "photos, and takes longer. BatchNormalization layers keep their statistics, which few photos would "
        "spoil."
    ),
    "epoch": N_("In one epoch the model sees every training photo once."),
    "learning rate": N_(
        "The size of the steps in training. Too large and it gets nowhere, too small and it takes forever."
    ),
    "batch size": N_("How many photos the model sees before each step. 32 is nearly always fine."),
    "dropout": N_(
        "This share of the features is hidden at random in each step. So no single detail decides."
    ),
    "time left": N_(
        "An estimate for the whole training. It gets better with every batch. Pauses do not count."
    ),
    "kept epoch": N_(
        "Your model is the one after this epoch: it has the lowest validation loss. The loss also counts how "
        "confident the answers are."
    ),
    "memory": N_("How much of this computer's memory the app and the training use."),
    "schedule": N_(
        "*New layer, then fine-tuning* trains the new layer first, then the blocks too (Kumar 2022). *New "
        "layer only* stops before that. *All at once* is the textbook way. *Block by block* "
        "unfreezes them from the end (Howard and Ruder 2018)."
    ),
    "early stopping": N_(
        "Training stops after this many epochs without a lower validation loss. The best epoch is kept. 0 "
        "never stops early."
    ),
    "optimizer": N_(
        "The rule that changes the weights. *Adam* adapts the steps to each weight. *AdamW* is Adam with "
        "weight decay. *SGD* takes plain steps with momentum."
    ),
    "fine-tuning rate": N_(
        "The size of the steps while the trainable blocks learn. Keep it 10 to 100 times below the learning "
        "rate. Larger steps would undo what the model knows."
    ),
    "weight decay": N_(
        "Pulls the weights towards zero, which keeps the model simple. Used by AdamW and SGD."
    ),
    "momentum": N_("How much of the last step goes into the next. Used by SGD."),
    "layer decay": N_(
        "Each block learns at this multiple of the rate of the block after it. So early blocks, which see "
        "edges and colours, change least. 1 is the same rate for all."
    ),
    "head": N_(
        "*What fits best* compares three types on your training photos. *Linear* weighs the pooled features. "
        "*With a hidden layer* also combines them. *On the whole map* also knows where things are, but "
        "overfits easily."
    ),
    "hidden layer": N_(
        "How many units the hidden layer has. More units learn more, and overfit more easily."
    ),
    "label smoothing": N_(
        "Takes this share of the confidence from the right class. It keeps the model from being "
        "overconfident."
    ),
    "augmentation": N_(
        "Trains on varied copies of the photos: mirrored, rotated, zoomed, in other light. Validation photos "
        "are never varied."
    ),
    "views": N_(
        "How many versions of each photo are used: the photo itself and varied copies. Each takes as much "
        "time and disk as one photo."
    ),
    "live augmentation": N_(
        "Varies the photos again in every epoch. Nothing can be stored then, so training takes many times as "
        "long."
    ),
    "mixed precision": N_(
        "Computes with half the digits where a GPU can. That is faster, with nearly the same result. Without "
        "such a GPU nothing changes."
    ),
    "cache dtype": N_(
        "How precisely the output of the frozen layers is stored. Half precision takes half the space, with "
        "nearly the same result."
    ),
    "class weights": N_(
        "Each photo of a small class counts more, so that all classes weigh the same. On automatically if the "
        "largest class is over 1.5 times the smallest."
    ),
    "oversampling": N_(
        "Shows photos of small classes several times an epoch, until all classes are equally large."
    ),
    "single layers": N_(
        "Lets single layers learn, besides the blocks chosen on the Layers page. BatchNormalization layers "
        "remain in inference mode."
    ),
    "rate finder": N_(
        "Trains for a moment with growing steps and shows the loss at each (Smith 2017). Your model does not "
        "change."
    ),
    "feature extraction": N_(
        "The whole pretrained model is frozen; only a new last layer learns. Quick, safe, and right for few "
        "photos."
    ),
    "fine-tuned": N_(
        "Training starts from the pretrained weights, and the last blocks adapt to your photos. Right for "
        "many photos, or unusual ones."
    ),
    "from scratch": N_(
        "The weights start at random, and everything is learned from your photos. This needs many thousands "
        "of photos. Try it to see what pretraining is worth."
    ),
    "seed": N_("The starting number of everything random. The same seed gives the same result again."),
    "validation": N_("Photos that the model does not train on. They show how well it does on new photos."),
    "test images": N_(
        "Photos from your folder named test. The model never trains on them, and they pick no epoch. So their "
        "accuracy is the most honest one."
    ),
    "cross-validation": N_(
        "The photos are split into parts. Each part is predicted by a model trained on the others. So every "
        "photo is tested once."
    ),
    "all photos": N_(
        "Cross-validation measures the accuracy, then your model trains on all photos. The curves show the "
        "validation photos."
    ),
    "accuracy": N_("The share of photos whose class is right."),
    "loss": N_("How wrong the answers are, counting how confident they were. Lower is better."),
    "confusion matrix": N_(
        "Each row is a true class, each column a predicted class. The diagonal is correct."
    ),
    "grad-cam": N_(
        "Grad-CAM (Selvaraju et al. 2017) finds the regions that would change the score of a class most. The "
        "map is coarse, often 7 by 7 cells."
    ),
    "image map": N_(
        "The model describes each photo by about a thousand numbers; the map shows two. *t-SNE* keeps "
        "neighbours together; large distances mean little (van der Maaten and Hinton 2008). *PCA* shows the "
        "two directions in which the photos differ most."
    ),
    "mcnemar": N_(
        "Both models answer the same photos. If they were equally good, each difference would be a coin toss. "
        "McNemar's exact test (1947) says how likely such a result would be."
    ),
    "freeze sweep": N_(
        "Trains on the same photos with different numbers of trainable blocks. Each is trained more than "
        "once, so that you see how much is luck."
    ),
    "depth trade-off": N_(
        "The fewest trainable blocks within one standard error of the best accuracy (Breiman 1984)."
    ),
    "shortcut": N_(
        "What gives the class away in your photos only: a table, a wall, the light. The model is "
        "then right for the wrong reason, and fails elsewhere."
    ),
    "probability": N_("How confident the model is. All classes together make 100 %."),
    "confidence interval": N_(
        "The accuracy on other such photos lies here 19 times in 20 (95 %, Wilson). More photos make "
        "it narrower."
    ),
    "precision": N_("Of the photos predicted as this class, the share that is correct."),
    "recall": N_("Of the photos of this class, the share that is predicted correctly."),
    "f1": N_("Precision and recall in one number (harmonic mean): high only when both are high."),
    "top-2": N_("The share of photos whose class is among the two most probable ones."),
    "log loss": N_(
        "How wrong the probabilities are. Confident mistakes cost most. Lower is better; 0 is perfect."
    ),
    "roc": N_(
        "For each class: found photos (upwards) against false alarms (to the right), for every threshold. The "
        "area under the curve (AUC) is 1 for perfect, 0.5 for guessing."
    ),
    "precision-recall": N_(
        "For each class: precision (upwards) against recall (to the right), for every threshold. It says more "
        "than ROC when a class is rare."
    ),
    "calibration": N_("Whether you can trust its confidence: of answers at 80 %, 80 % should be right."),
    "ece": N_("Calibration error (ECE): the average gap between confidence and accuracy. 0 is perfect."),
    "temperature": N_(
        "Fits the confidence to how often the model is right. Above 1 lowers it, below 1 raises it. It is used "
        "only where it helps on other photos. The predicted class never changes (temperature scaling, Guo et "
        "al. 2017)."
    ),
    "two models": N_(
        "Both see the very same photo. Where they differ, one has learned something the other has not."
    ),
    "i don't know": N_("No answer for unfamiliar photos, or with too little confidence: only a best guess."),
    "familiarity": N_(
        "How similar a photo is to the three most similar training photos. Measured by cosine similarity, "
        "scaled locally."
    ),
    "coverage": N_("The share of photos that get an answer."),
    "most typical": N_("Photos of a class with the most confident correct answers."),
}


def explain(term: str) -> str:
    """Return the explanation of a term, for a help text.

    Raises:
        KeyError: If the term is not in the glossary.
    """
    return said(_EXPLANATIONS[term])

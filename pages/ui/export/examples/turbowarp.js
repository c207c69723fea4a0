// Blocks for TurboWarp: your model looks at the stage, for example at a costume or at the camera.
(function (Scratch) {
  "use strict";
  const texts = TEXTS;
  if (!Scratch.extensions.unsandboxed) {
    throw new Error(texts.sandbox);
  }
  const classes = CLASSES;
  let answer = { class_name: "", probability: 0, probabilities: {} };

  class MyModel {
    getInfo() {
      const { BlockType, ArgumentType } = Scratch;
      return {
        id: "transferstudio",
        name: texts.name,
        blocks: [
          { opcode: "look", blockType: BlockType.COMMAND, text: texts.look },
          { opcode: "seen", blockType: BlockType.REPORTER, text: texts.seen },
          {
            opcode: "sureness",
            blockType: BlockType.REPORTER,
            text: texts.sureness,
            arguments: { NAME: { type: ArgumentType.STRING, menu: "classes" } },
          },
        ],
        menus: { classes: { acceptReporters: true, items: classes } },
      };
    }

    async look() {
      const picture = await new Promise((resolve) => Scratch.vm.renderer.requestSnapshot(resolve));
      const photo = await (await fetch(picture)).blob();
      const response = await fetch("ADDRESS", {
        method: "POST",
        headers: { Authorization: "Bearer KEY" },
        body: photo,
      });
      const received = await response.json();
      answer = response.ok ? received : { class_name: received.error, probability: 0, probabilities: {} };
    }

    seen() {
      return answer.class_name ?? texts.unknown;
    }

    sureness({ NAME }) {
      return Math.round(100 * (answer.probabilities[NAME] ?? 0));
    }
  }

  Scratch.extensions.register(new MyModel());
})(Scratch);

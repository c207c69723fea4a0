// Blocks for TurboWarp: your model looks at the stage, for example at a costume or at the camera.
(function (Scratch) {
  "use strict";
  if (!Scratch.extensions.unsandboxed) {
    throw new Error("Tick “Run extension without sandbox” when you load this file.");
  }
  const classes = CLASSES;
  let answer = { class_name: "", probability: 0, probabilities: {} };

  class MyModel {
    getInfo() {
      const { BlockType, ArgumentType } = Scratch;
      return {
        id: "transferstudio",
        name: "My model",
        blocks: [
          { opcode: "look", blockType: BlockType.COMMAND, text: "look at the stage" },
          { opcode: "seen", blockType: BlockType.REPORTER, text: "what I see" },
          {
            opcode: "sureness",
            blockType: BlockType.REPORTER,
            text: "how sure about [NAME]",
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
      return answer.class_name ?? "unknown";
    }

    sureness({ NAME }) {
      return Math.round(100 * (answer.probabilities[NAME] ?? 0));
    }
  }

  Scratch.extensions.register(new MyModel());
})(Scratch);

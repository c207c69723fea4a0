"use strict";
// Classification in the browser, equal to predict.py. The runtime and the model are embedded in the page.

const facts = JSON.parse(document.getElementById("facts").textContent);
const TOLERANCE = 1e-5; // runtimes sum in different orders; keeps photos at a threshold accepted

let session = null;
let bank = null; // L2-normalised features of training photos, row by row
let weights = null; // of each of these photos
let queue = Promise.resolve();

async function loadModel() {
    const script = new Blob([await unpacked("runtime")], { type: "text/javascript" });
    const runtime = await import(URL.createObjectURL(script));
    runtime.env.wasm.numThreads = 1; // more threads need a server that sends cross-origin isolation headers
    runtime.env.wasm.wasmBinary = await unpacked("machine-code");
    bank = fromHalfFloats(new Uint16Array((await unpacked("bank")).buffer));
    weights = fromHalfFloats(new Uint16Array((await unpacked("weights")).buffer));
    session = await runtime.InferenceSession.create(await unpacked("model"), { executionProviders: ["wasm"] });
    session.Tensor = runtime.Tensor;
}

async function unpacked(name) {
    const element = document.getElementById(`packed-${name}`);
    const bytes = Uint8Array.from(atob(element.textContent), (letter) => letter.charCodeAt(0));
    element.remove();
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    return new Uint8Array(await new Response(stream).arrayBuffer());
}

function fromHalfFloats(halves) {
    return Float32Array.from(halves, (half) => {
        const exponent = (half >> 10) & 31;
        const fraction = (half & 1023) / 1024;
        const size = exponent ? 2 ** (exponent - 15) * (1 + fraction) : 2 ** -14 * fraction;
        return half & 0x8000 ? -size : size;
    });
}

// Queue the calls, because the runtime cannot run two at once.
function predict(picture) {
    const prediction = queue.then(() => run(toSquare(picture, facts.imageSize)));
    queue = prediction.catch(() => {});
    return prediction;
}

async function run(pixels) {
    const size = facts.imageSize;
    const input = new session.Tensor("float32", Float32Array.from(pixels), [1, size, size, 3]);
    const outputs = await session.run({ pixels: input });
    const probabilities = calibrated(outputs.probabilities.data);
    const best = probabilities.indexOf(Math.max(...probabilities));
    return { best, probabilities, isKnown: isKnown(outputs.features.data, probabilities[best]) };
}

function calibrated(raw) {
    if (facts.temperature === 1) return [...raw];
    const logits = Array.from(raw, (value) => Math.log(Math.max(value, 1e-30)) / facts.temperature);
    const highest = Math.max(...logits);
    const raised = logits.map((value) => Math.exp(value - highest));
    const sum = raised.reduce((total, value) => total + value, 0);
    return raised.map((value) => value / sum);
}

function isKnown(features, probability) {
    if (!facts.refuses) return true;
    const isFamiliar = familiarity(features) + TOLERANCE >= facts.refuses.min_familiarity;
    return isFamiliar && probability + TOLERANCE >= facts.refuses.min_probability;
}

// The mean weighted cosine similarity to the nearest training photos, -1 to 1.
function familiarity(features) {
    const length = Math.max(Math.hypot(...features), 1e-9);
    const similarities = new Float64Array(weights.length);
    for (let row = 0, place = 0; row < similarities.length; row += 1) {
        let sum = 0;
        for (const feature of features) sum += bank[place++] * feature;
        similarities[row] = 1 - weights[row] * (1 - sum / length);
    }
    const nearest = similarities.sort().slice(-facts.refuses.num_neighbors);
    return Math.max(nearest.reduce((total, value) => total + value, 0) / nearest.length, -1);
}

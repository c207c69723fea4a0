"use strict";
// Preprocessing of photos for the model: a port of image_path.py that uses the browser's decoder.
// Resample in fixed-point numbers like Pillow, so that equal inputs give bit-equal outputs.

const MAX_SIDE = 1024; // MAX_STORED_SIDE of image_path.py
const MIN_REDUCED_SIDE = 768; // _MIN_REDUCED_SIDE
const MAX_PIXELS = 16_000_000; // some phones leave larger canvases empty
const PRECISION_BITS = 22;

// `pixels` are red, green and blue in 0-255, row by row, without gaps.
async function decodePicture(blob) {
    const start = new Uint8Array(await blob.slice(0, 3).arrayBuffer());
    const isJpeg = start[0] === 0xff && start[1] === 0xd8 && start[2] === 0xff;
    const bitmap = await createImageBitmap(blob, { imageOrientation: "from-image" });
    const shrink = Math.min(Math.sqrt(MAX_PIXELS / (bitmap.width * bitmap.height)), 1);
    const picture = pixelsOf(bitmap, Math.round(bitmap.width * shrink), Math.round(bitmap.height * shrink));
    bitmap.close();
    return { ...limited(isJpeg ? reducedAsJpeg(picture) : picture), canvas: picture.canvas };
}

function pixelsOf(source, width, height) {
    const canvas = Object.assign(document.createElement("canvas"), { width, height });
    const context = canvas.getContext("2d", { willReadFrequently: true });
    context.fillStyle = "#fff"; // behind transparent pixels
    context.fillRect(0, 0, width, height);
    context.drawImage(source, 0, 0, width, height);
    const { data } = context.getImageData(0, 0, width, height);
    const pixels = new Uint8Array(width * height * 3);
    for (let from = 0, to = 0; from < data.length; from += 4) {
        pixels[to++] = data[from];
        pixels[to++] = data[from + 1];
        pixels[to++] = data[from + 2];
    }
    return { pixels, width, height, canvas };
}

function toSquare(picture, size) {
    return resized(picture, size, size).pixels;
}

// Pillow decodes a large JPEG at a half, a quarter or an eighth of its size; average blocks of pixels instead.
function reducedAsJpeg(picture) {
    const longest = Math.max(picture.width, picture.height);
    const scale = [8, 4, 2].find((scale) => Math.floor(longest / scale) >= MIN_REDUCED_SIDE) ?? 1;
    return scale === 1 ? picture : reduced(picture, scale, scale);
}

function limited(picture) {
    const { width, height } = picture;
    if (Math.max(width, height) <= MAX_SIDE) return picture;
    const shape = width / height;
    const [newWidth, newHeight] =
        shape <= 1
            ? [nearest(MAX_SIDE * shape, (side) => Math.abs(shape - side / MAX_SIDE)), MAX_SIDE]
            : [MAX_SIDE, nearest(MAX_SIDE / shape, (side) => side && Math.abs(shape - MAX_SIDE / side))];
    // Like Pillow with a reducing_gap of 2: average blocks first while twice the target size remains.
    const stepX = Math.max(Math.floor(width / newWidth / 2), 1);
    const stepY = Math.max(Math.floor(height / newHeight / 2), 1);
    if (stepX === 1 && stepY === 1) return resized(picture, newWidth, newHeight);
    return resized(reduced(picture, stepX, stepY), newWidth, newHeight, width / stepX, height / stepY);
}

function nearest(side, distance) {
    const [low, high] = [Math.floor(side), Math.ceil(side)];
    return Math.max(distance(high) < distance(low) ? high : low, 1);
}

function reduced({ pixels, width, height }, stepX, stepY) {
    const newWidth = Math.ceil(width / stepX);
    const newHeight = Math.ceil(height / stepY);
    const result = new Uint8Array(newWidth * newHeight * 3);
    for (let y = 0, to = 0; y < newHeight; y += 1) {
        const bottom = Math.min((y + 1) * stepY, height);
        for (let x = 0; x < newWidth; x += 1) {
            const right = Math.min((x + 1) * stepX, width);
            const count = (bottom - y * stepY) * (right - x * stepX);
            let [red, green, blue] = [count >> 1, count >> 1, count >> 1];
            for (let row = y * stepY; row < bottom; row += 1) {
                for (let from = (row * width + x * stepX) * 3; from < (row * width + right) * 3; from += 3) {
                    red += pixels[from];
                    green += pixels[from + 1];
                    blue += pixels[from + 2];
                }
            }
            result[to++] = red / count;
            result[to++] = green / count;
            result[to++] = blue / count;
        }
    }
    return { pixels: result, width: newWidth, height: newHeight };
}

// Bicubic with antialiasing. After averaging blocks, the picture may end within its last pixel (`endX`, `endY`).
// Like Pillow 13, resample rows first, unless the height shrinks much more than the width.
function resized(picture, newWidth, newHeight, endX = picture.width, endY = picture.height) {
    const { width, height } = picture;
    if (height > newHeight && height - newHeight > 2 * (width - newWidth)) {
        return resampledRows(resampledColumns(picture, newHeight, endY), newWidth, endX);
    }
    return resampledColumns(resampledRows(picture, newWidth, endX), newHeight, endY);
}

function resampledRows({ pixels, width, height }, newWidth, end) {
    const result = new Uint8Array(newWidth * height * 3);
    resampleLines(pixels, result, weightsFor(width, end, newWidth), height, width * 3, 3, newWidth * 3, 3);
    return { pixels: result, width: newWidth, height };
}

function resampledColumns({ pixels, width, height }, newHeight, end) {
    const result = new Uint8Array(width * newHeight * 3);
    resampleLines(pixels, result, weightsFor(height, end, newHeight), width, 3, width * 3, 3, width * 3);
    return { pixels: result, width, height: newHeight };
}

function weightsFor(size, end, newSize) {
    const scale = end / newSize;
    const stretch = Math.max(scale, 1);
    const support = 2 * stretch;
    return Array.from({ length: newSize }, (_, index) => {
        const center = (index + 0.5) * scale;
        const first = Math.max(Math.trunc(center - support + 0.5), 0);
        const last = Math.min(Math.trunc(center + support + 0.5), size);
        const raw = Array.from({ length: last - first }, (_, place) =>
            cubic((place + first - center + 0.5) * (1 / stretch)),
        );
        const sum = raw.reduce((total, weight) => total + weight, 0);
        const whole = Int32Array.from(raw, (weight) => {
            const number = (sum === 0 ? weight : weight / sum) * 2 ** PRECISION_BITS;
            return number < 0 ? number - 0.5 : number + 0.5;
        });
        return { first, whole };
    });
}

// Keys (1981), with a = -1/2.
function cubic(distance) {
    const x = Math.abs(distance);
    if (x < 1) return (1.5 * x - 2.5) * x * x + 1;
    return x < 2 ? (((x - 5) * x + 8) * x - 4) * -0.5 : 0;
}

function resampleLines(from, to, weights, numLines, fromLine, fromStep, toLine, toStep) {
    weights.forEach(({ first, whole }, index) => {
        for (let line = 0; line < numLines; line += 1) {
            for (let color = 0; color < 3; color += 1) {
                let sum = 2 ** (PRECISION_BITS - 1);
                let place = line * fromLine + first * fromStep + color;
                for (let tap = 0; tap < whole.length; tap += 1, place += fromStep) sum += from[place] * whole[tap];
                to[line * toLine + index * toStep + color] = Math.min(Math.max(sum >> PRECISION_BITS, 0), 255);
            }
        }
    });
}

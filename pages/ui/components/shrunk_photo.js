// Part of every component, and of the page that takes photos on a phone.

const LONGEST_SIDE_OF_PHOTO = 1280; // pixels
const QUALITY_OF_PHOTO = 0.9;

// A copy that is upright and not too large; the file itself where the browser cannot make one.
async function shrunkPhoto(file) {
    try {
        const bitmap = await createImageBitmap(file, { imageOrientation: "from-image" });
        const scale = Math.min(LONGEST_SIDE_OF_PHOTO / Math.max(bitmap.width, bitmap.height), 1);
        const width = Math.max(Math.round(bitmap.width * scale), 1);
        const height = Math.max(Math.round(bitmap.height * scale), 1);
        const canvas = Object.assign(document.createElement("canvas"), { width, height });
        canvas.getContext("2d").drawImage(bitmap, 0, 0, width, height);
        bitmap.close();
        const blob = await new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", QUALITY_OF_PHOTO));
        return blob ? new File([blob], "photo.jpg", { type: "image/jpeg" }) : file;
    } catch {
        return file;
    }
}


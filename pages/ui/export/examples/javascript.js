// A photo is a file that a person chose, a canvas as a blob, or the bytes of a file.
async function classify(photo) {
  const response = await fetch("ADDRESS", {
    method: "POST",
    headers: { Authorization: "Bearer KEY" },
    body: photo,
  });
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.error);
  return answer;
}

// On a web page with <input type="file" id="photo"> and <p id="answer"></p>:
globalThis.document?.getElementById("photo")?.addEventListener("change", async (event) => {
  const answer = await classify(event.target.files[0]);
  document.getElementById("answer").textContent = answer.class_name ?? "unknown";
});

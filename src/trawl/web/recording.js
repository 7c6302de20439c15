// Record the microphone as a WAV file, which the server reads without codecs.

// Start a recording. Return {stop}, which returns the file. Raises the browser's `DOMException`.
export async function recording() {
  if (!navigator.mediaDevices) throw new Error("a browser records only on https and on localhost");
  const stream = await navigator.mediaDevices.getUserMedia({ audio: true });
  const recorder = new MediaRecorder(stream);
  const pieces = [];
  recorder.addEventListener("dataavailable", (event) => pieces.push(event.data));
  const ended = new Promise((resolve) => recorder.addEventListener("stop", resolve));
  recorder.start();
  const stop = async () => {
    recorder.stop();
    await ended;
    for (const track of stream.getTracks()) track.stop();
    const context = new AudioContext();
    try {
      const sound = await context.decodeAudioData(await new Blob(pieces).arrayBuffer());
      return new File([wav(sound)], "recording.wav", { type: "audio/wav" });
    } finally {
      void context.close();
    }
  };
  return { stop };
}

// Return the mean of the channels as a WAV file of 16 bits.
function wav(sound) {
  const channels = Array.from({ length: sound.numberOfChannels }, (_, at) => sound.getChannelData(at));
  const size = sound.length * 2;
  const view = new DataView(new ArrayBuffer(44 + size));
  const text = (at, word) => [...word].forEach((letter, index) => view.setUint8(at + index, letter.charCodeAt(0)));
  text(0, "RIFF");
  view.setUint32(4, 36 + size, true);
  text(8, "WAVEfmt ");
  view.setUint32(16, 16, true);
  view.setUint16(20, 1, true);
  view.setUint16(22, 1, true);
  view.setUint32(24, sound.sampleRate, true);
  view.setUint32(28, sound.sampleRate * 2, true);
  view.setUint16(32, 2, true);
  view.setUint16(34, 16, true);
  text(36, "data");
  view.setUint32(40, size, true);
  for (let at = 0; at < sound.length; at += 1) {
    const mean = channels.reduce((sum, one) => sum + one[at], 0) / channels.length;
    view.setInt16(44 + at * 2, Math.max(-1, Math.min(1, mean)) * 32767, true);
  }
  return view;
}

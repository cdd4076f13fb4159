// RapiDoc shows the status of every answer in the colour of a success. Here an answer that is none gets the colour of an
// error, and so does a call without an answer.
document.addEventListener("after-try", (event) => {
  const [call] = event.composedPath();
  call.responseStatus = event.detail.responseStatus ? "success" : "error";
});

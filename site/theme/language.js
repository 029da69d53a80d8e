// The main page is where everybody is sent: it hands over to the page in the language that the reader has chosen before, or
// else that the browser asks for, before anything of it is shown or asked for. Where nothing can be remembered it hands
// nobody over: who came back from a translation would be sent there again.
try {
  const tongues = [...document.querySelectorAll("[hreflang]")].map((l) => l.hreflang); // its own first
  const find = (tag, part) => tongues.find((t) => part(t.toLowerCase()) === part(tag.toLowerCase()));
  const wanted = [localStorage["conforma-status language"], ...navigator.languages].filter(Boolean)
    .map((l) => find(l, (t) => t) ?? find(l, (t) => t.split("-")[0])).find(Boolean) ?? tongues[0];
  // Not from a file, where a folder is answered by a list, and not from a server that answers with this page for all that it
  // hasn't got.
  if (wanted !== tongues[0] && location.host && !location.pathname.endsWith(`/${wanted}/${wanted}/`)) {
    document.documentElement.hidden = true; // and page.js does nothing
    location.replace(wanted + "/" + location.hash);
  }
} catch {
  // storage is forbidden
}

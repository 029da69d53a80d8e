// A CloudFront Function at viewer-request (runtime cloudfront-js-2.0): S3's REST address, which is what origin access
// control reads, doesn't answer a folder by its index.html.
function handler(event) {
  var request = event.request
  if (request.uri.endsWith('/')) {
    request.uri += 'index.html'
  } else if (!request.uri.split('/').pop().includes('.')) {
    // Encoded as it came; two slashes at the beginning would lead to another server.
    return { statusCode: 302, statusDescription: 'Found', headers: { location: { value: request.uri.replace(/^\/+/, '/') + '/' } } }
  }
  return request
}

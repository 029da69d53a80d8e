// The page deploy/front-end-costs.md, from the figures of a simulated crowd.

// What the figures are scaled to, and what is paid: USD, examples; put in those of your region and contract.
const tabs = 100_000;
const prices = { s3: 0.0004, cloudFront: 0.01, out: 0.09, bytes: 300 };

const number = (n, digits = 0) => n.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits });

export const costs = (visitors, { short, long }) => {
  const scale = tabs / visitors;
  const row = (name, f) => {
    const rate = f.mean * scale, hour = 3600 * rate;
    return [
      name, number(rate), number(hour / 1e6, 1) + " million",
      "$" + number(hour / 1000 * prices.s3, 2), "$" + number(hour / 10000 * prices.cloudFront, 2),
      number(hour * prices.bytes / 1e9, 1) + " GB, $" + number(hour * prices.bytes / 1e9 * prices.out, 2),
    ].join(" | ");
  };
  const peak = (f) => number(f.peak / f.mean, 1);
  const back = (name, f) => `${name} | ${number(f.return.median)} | ${number(f.return.last)} | ${number(f.back.mean * scale)} | ${number(f.back.peak * scale)} | ${peak(f.back)}`;
  return `# What open tabs cost

Every figure here is of a run: \`status/client/test/crowd.test.js\` has ${number(visitors)} visitors, each with one visible tab, use a site that
closes and opens again, with the client and the maintenance page's own script in simulated time, and writes this page (\`UPDATE=1 node --test
status/client/test/crowd.test.js\`). Tabs of one visitor share one asker, and a hidden tab asks nothing. The figures are scaled to
${number(tabs)} visible tabs of different visitors: rates times ${number(scale)}; seconds stay as they are.

## Requests and money

For as long as the tabs are open and visible, with the client's default interval (\`every\`) of 15 s:

| | requests a second | in an hour | S3, an hour | CloudFront, an hour | bytes out, an hour |
|---|---|---|---|---|---|
| ${row("the site is open, and tabs watch", short.open)} |
| it is closed, and the page watches | ${row("", short.closed).slice(3)} |

The fullest second has ${peak(short.open)} and ${peak(short.closed)} times the mean of ${number(visitors)} visitors; with more of them that evens out.

Prices are parameters, and these are examples in USD, no quotations: $${prices.s3} for 1,000 GET requests at S3, $${prices.cloudFront} for 10,000 HTTPS
requests at CloudFront, $${prices.out} for a GB out; an answer, mostly a 304, is taken to be ${prices.bytes} bytes with its headers. They are in
\`status/client/test/costs.js\`, beside the number of tabs. With *R* requests a second an hour costs

    S3          3600 × R / 1,000 × price
    CloudFront  3600 × R / 10,000 × price, and S3's share for what CloudFront asks in turn
    bytes out   3600 × R × bytes / 10⁹ × price

\`every: 60000\` costs a quarter of the first row, and people know after a minute instead of a quarter of one. S3 serves 5,500 GET requests a second
for one prefix (AWS's documentation), so that this many tabs at 15 s need CloudFront before it. A minimum TTL of one second there has it ask S3 once a
second at each edge, however many tabs there are.

## Seconds to leave and to return

| | median | last |
|---|---|---|
| until a visible tab knows, by polling | ${number(short.know.median)} s | ${number(short.know.last)} s |
| until a tab knows whose query failed | one request | one request |

By polling the notice stands for 10 s more (\`seconds\`) before a tab leaves. After a failed query it leaves at once.

Coming back, the page waits a random part of a tenth of the time that the site was closed, of 30 s at least and of two minutes at most. Then it
asks the site once whether it is open, and goes. So each visitor is two requests to the site, its own and the application's page, and what the
application loads then.

| | median | last | requests a second in the first minute | in the fullest second | fullest / mean |
|---|---|---|---|---|---|
| ${back("after five minutes or less", short)} |
| ${back("after twenty minutes or more", long)} |
`;
};

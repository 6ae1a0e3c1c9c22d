-- Sends the requests of the file BENCH_REQUESTS (one a line: method, path, key, body, parted by tabs), one after
-- the other and over again. BENCH_PAUSE_MS waits that long on average before each request of a connection.
local requests, last, length = {}, 0, 0

function init()
   for line in io.lines(os.getenv("BENCH_REQUESTS")) do
      local method, path, key, body = line:match("^([^\t]*)\t([^\t]*)\t([^\t]*)\t(.*)$")
      local headers = { ["Authorization"] = "Bearer " .. key, ["Content-Type"] = "application/json" }
      length = length + 1
      requests[length] = wrk.format(method, path, headers, body ~= "" and body or nil)
   end
end

function request()
   last = last % length + 1
   return requests[last]
end

local pause_ms = tonumber(os.getenv("BENCH_PAUSE_MS") or "0")
if pause_ms > 0 then
   function delay() return math.floor(2 * pause_ms * math.random() + 0.5) end
end

function done(summary, latency)
   local e = summary.errors
   io.write(string.format(
      'BENCH {"requests":%d,"seconds":%.6f,"p50_ms":%.3f,"p99_ms":%.3f,"most_ms":%.3f,"broken":%d,"refused":%d}\n',
      summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
      latency.max / 1e3, e.connect + e.read + e.write + e.timeout, e.status))
end

-- Sends the export's form as API clients do. Arguments: the key, the number of pages to choose from at random, and the
-- number of sessions per page.

local threads = 0

function setup(thread)
  threads = threads + 1
  thread:set("seed", threads)
end

local function form(key, page, per_page)
  local parts = {}
  for _, field in ipairs({ { "clientKey", key }, { "page", page }, { "perPage", per_page } }) do
    parts[#parts + 1] = '--bench\r\nContent-Disposition: form-data; name="' .. field[1] .. '"\r\n\r\n' .. field[2] .. "\r\n"
  end
  return table.concat(parts) .. "--bench--\r\n"
end

function init(arguments)
  local key, pages, per_page = arguments[1], tonumber(arguments[2]), arguments[3]
  math.randomseed(seed)
  wrk.method = "POST"
  wrk.headers["Content-Type"] = "multipart/form-data; boundary=bench"
  -- Cache each request, because formatting it every time would slow down the load generator.
  local requests = {}
  request = function()
    local page = math.random(pages)
    requests[page] = requests[page] or wrk.format(nil, nil, nil, form(key, page, per_page))
    return requests[page]
  end
end

function done(summary, latency)
  local errors = summary.errors
  print("requests " .. summary.requests)
  print("seconds " .. summary.duration / 1e6)
  print("bytes " .. summary.bytes)
  print("http_errors " .. errors.status)
  print("socket_errors " .. errors.connect + errors.read + errors.write + errors.timeout)
  print("p50 " .. latency:percentile(50) / 1000)
  print("p99 " .. latency:percentile(99) / 1000)
end

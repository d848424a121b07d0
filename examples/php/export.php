<?php
// Copies all sessions of a client to a file, and at every later start what has changed since.
//
//     UPTOK_URL=https://uptok.example UPTOK_API_KEY=... php export.php [sessions.ndjson]
//
// Needs PHP 8.1 or newer, 64-bit, without further extensions. README.md explains the file.

declare(strict_types=1);

const TRIES = 5;
const LONGEST_WAIT = 300; // seconds; a server that asks for more ends the program
const TIMEOUT = 60; // seconds
// A change counts from when it began, not from when it was stored, so the last minute is always read again.
const OVERLAP = 60; // seconds

/** Why the export stopped, for people. */
final class Stop extends Exception {}

/** Returns a page of sessions, and the time of the server in seconds. */
function load_page(string $url, string $key, array $query): array
{
    for ($attempt = 1; ; $attempt++) {
        [$status, $headers, $body] = get("$url/api/sessions?" . http_build_query($query), $key);
        $answer = json_decode($body, true);
        if ($status === 200) {
            $time = strtotime($headers['date'] ?? '');
            if (!is_array($answer['data'] ?? null) || $time === false) {
                throw new Stop('the answer broke off');
            }
            return [$answer, $time];
        }
        $retry_after = $headers['retry-after'] ?? '';
        $wait = ctype_digit($retry_after) ? (int) $retry_after : 5;
        if (!in_array($status, [429, 503], true) || $attempt === TRIES || $wait > LONGEST_WAIT) {
            throw new Stop(describe($status, $answer));
        }
        sleep($wait);
    }
}

/** Returns status, headers and body. */
function get(string $address, string $key): array
{
    $context = stream_context_create(['http' => [
        'header' => ["Authorization: Bearer $key", 'Accept: application/json', 'Connection: close'],
        'protocol_version' => 1.1,
        'ignore_errors' => true,
        // The key must not follow a redirect to another server.
        'follow_location' => 0,
        'timeout' => TIMEOUT,
    ]]);
    $stream = @fopen($address, 'r', false, $context);
    if ($stream === false) {
        throw new Stop(strtok($address, '?') . ' cannot be reached');
    }
    $lines = stream_get_meta_data($stream)['wrapper_data'];
    $body = stream_get_contents($stream);
    if ($body === false || stream_get_meta_data($stream)['timed_out']) {
        throw new Stop('the answer broke off');
    }
    $headers = [];
    foreach (array_slice($lines, 1) as $line) {
        [$name, $value] = array_pad(explode(':', $line, 2), 2, '');
        $headers[strtolower($name)] = trim($value);
    }
    return [(int) (explode(' ', $lines[0])[1] ?? 0), $headers, $body];
}

/** The first sentence that the server says, and the status. */
function describe(int $status, mixed $answer): string
{
    $detail = is_string($answer['detail'] ?? null) ? $answer['detail'] : 'the server refused the request';
    return rtrim(explode('. ', $detail)[0], '.') . " (HTTP $status)";
}

/** How much of the file is complete, and where to go on. */
function load_progress(string $path, string $progress_path): array
{
    if (file_exists($progress_path)) {
        return json_decode(file_get_contents($progress_path), true, 4, JSON_THROW_ON_ERROR);
    }
    if (file_exists($path) && filesize($path) > 0) {
        throw new Stop("$path exists already, and is not from this program");
    }
    $progress = ['bytes' => 0, 'cursor' => null, 'updatedSince' => null, 'startedAt' => null];
    save_progress($progress, $progress_path);
    return $progress;
}

/** Replaces the file in one step, so that it is whole whenever the program is killed. */
function save_progress(array $progress, string $progress_path): void
{
    $file = open("$progress_path.new", 'w');
    write($file, json_encode($progress, JSON_THROW_ON_ERROR));
    fclose($file);
    if (!@rename("$progress_path.new", $progress_path)) {
        throw new Stop("$progress_path cannot be written");
    }
}

/** @return resource */
function open(string $path, string $mode)
{
    return @fopen($path, $mode) ?: throw new Stop("$path cannot be written");
}

/** Writes the text and waits until it is on disk. */
function write($file, string $text): void
{
    if (@fwrite($file, $text) !== strlen($text) || !@fsync($file)) {
        throw new Stop('the file cannot be written');
    }
}

/** Appends every session, or those that changed since the last export. Returns how many. */
function export(string $url, string $key, string $path): int
{
    $progress_path = "$path.progress";
    $progress = load_progress($path, $progress_path);
    $file = open($path, 'a');
    if (fstat($file)['size'] < $progress['bytes']) {
        throw new Stop("$path is shorter than it was; delete it and $progress_path");
    }
    // What was written after the last saved progress comes again.
    ftruncate($file, $progress['bytes']);
    $count = 0;
    do {
        $query = ['perPage' => 1000, 'cursor' => $progress['cursor'], 'updatedSince' => $progress['updatedSince']];
        [$page, $time] = load_page($url, $key, array_filter($query));
        $progress['startedAt'] ??= gmdate('Y-m-d\TH:i:s\Z', $time - OVERLAP);
        $lines = '';
        foreach ($page['data'] as $session) {
            $lines .= json_encode($session, JSON_THROW_ON_ERROR | JSON_UNESCAPED_SLASHES | JSON_UNESCAPED_UNICODE) . "\n";
        }
        write($file, $lines);
        $count += count($page['data']);
        $progress['bytes'] += strlen($lines);
        $progress['cursor'] = $page['nextCursor'] ?? null;
        if ($progress['cursor'] === null) {
            $progress['updatedSince'] = $progress['startedAt'];
            $progress['startedAt'] = null;
        }
        save_progress($progress, $progress_path);
    } while ($progress['cursor'] !== null);
    return $count;
}

$url = rtrim(getenv('UPTOK_URL') ?: 'http://localhost:8080', '/');
$key = trim(getenv('UPTOK_API_KEY') ?: '');
$path = $argv[1] ?? 'sessions.ndjson';
try {
    if (!preg_match('/^uptok_[0-9A-Za-z]{12}_[0-9A-Za-z]{38}$/D', $key)) {
        throw new Stop('UPTOK_API_KEY is not an API key of Uptok');
    }
    if (!preg_match('#^https?://#', $url)) {
        throw new Stop('UPTOK_URL does not begin with https:// or http://');
    }
    echo export($url, $key, $path), " sessions written to $path\n";
} catch (Throwable $error) {
    $reason = $key === '' ? $error->getMessage() : str_replace($key, '(key)', $error->getMessage());
    fwrite(STDERR, "The export stopped and can be started again: $reason.\n");
    exit(1);
}

INSERT INTO users (id, name, enabled, created_at) VALUES ('user_1', 'ada', true, 1800000000.0);
INSERT INTO api_keys (id, user_id, name, prefix, digest, scopes, models, priority, requests_per_minute, tokens_per_minute, tokens_per_day, created_at, expires_at, revoked_at) VALUES ('key_1', 'user_1', 'laptop', 'sk-turnout-abcde', '0123456789abcdef', '["chat", "admin"]', '["coder"]', 'interactive', 60, 100000, 2000000, 1800000000.0, NULL, NULL);
INSERT INTO preferences (user_id, default_backend, default_model, fallback_to_claude, use_local_for_code) VALUES ('user_1', 'desk', 'coder', true, false);
INSERT INTO backends (id, owner_id, name, kind, url, enabled, sealed_api_key, sealed_headers, options, created_at, updated_at) VALUES ('backend_1', NULL, 'desk', 'ollama', 'http://127.0.0.1:11434', true, NULL, NULL, '{"max_parallel": 2}', 1800000000.0, 1800000000.0);
INSERT INTO backend_models (backend, name, size, details, last_seen, selected) VALUES ('backend_1', 'm:latest', 5000000000, '{"family": "llama"}', 1800000000.0, true);
INSERT INTO allowlist (id, network, allows, created_at) VALUES ('network_1', '192.168.0.0/16', 'call', 1800000000.0);
INSERT INTO usage_records (uid, request_id, key_id, day, started_at, operation, asked, backend, model, stream, status, outcome, attempts, prompt_tokens, completion_tokens, cached_tokens, reasoning_tokens, estimated, first_token_s, duration_s) VALUES ('run-1', 'req_1', 'key_1', 20833, 1800000000.0, 'chat', 'coder', 'desk', 'm', true, 200, 'ok', 1, 10, 20, NULL, NULL, false, 0.5, 2.0);
INSERT INTO calibration (backend, model, ratio, samples, updated_at) VALUES ('desk', 'm', 1.07, 40, 1800000000.0);
UPDATE revision SET value = 7 WHERE id = 1;
